"""The log on Kafka. Nothing outside this package imports a Kafka client."""

from kit.log.kafka.adapter import KafkaLog
from kit.log.kafka.security import Security

__all__ = ["KafkaLog", "Security"]
