"""The log on Kafka. Nothing outside this package imports a Kafka client."""

from kit.log.kafka.adapter import KafkaLog

__all__ = ["KafkaLog"]
