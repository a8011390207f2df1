"""The Kubernetes manifests: valid by the published schemas, and as strict as they say."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from kit.settings import PREFIX, Settings, load_settings
from services.compose import SERVICES
from tests.support.require import missing

BASE = Path(__file__).parents[2] / "deploy" / "k8s" / "base"
NAMES = [service.name for service in SERVICES]
LASTING = ("Deployment", "StatefulSet")
SECRET = {PREFIX + name for name in ("DATABASE_URL", "SECRET_KEY", "KAFKA_PASSWORD")}
VERSIONS = ("1.30", "1.34")
"""The oldest and the newest that the manifests are for."""


@cache
def manifests() -> list[dict[str, Any]]:
    """What the kustomization lists, as it stands in the files."""
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    return [one for name in listed for one in yaml.safe_load_all((BASE / name).read_text())]


def of_kind(*kinds: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in manifests() if one["kind"] in kinds}


def pods() -> list[Any]:
    return [pytest.param(one["spec"]["template"], id=name) for name, one in of_kind(*LASTING, "Job").items()]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("one", manifests(), ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_a_manifest_fits_the_published_schema(one: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(one, version, strict=True)


def test_no_file_is_left_out() -> None:
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    assert sorted([*listed, "kustomization.yaml"]) == sorted(path.name for path in BASE.iterdir())


def test_kustomize_builds_the_base_and_what_it_builds_fits_too() -> None:
    program = shutil.which("kustomize")
    if program is None:
        missing("kustomize", "go install sigs.k8s.io/kustomize/kustomize/v5@v5.4.3")
    done = subprocess.run([program, "build", str(BASE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = list(yaml.safe_load_all(done.stdout))
    assert len(built) == len(manifests())
    for one in built:
        kubernetes_validate.validate(one, VERSIONS[-1], strict=True)
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == "guildhall"
        assert one["metadata"]["labels"]["app.kubernetes.io/part-of"] == "guildhall"


@pytest.mark.parametrize("pod", pods())
def test_a_pod_is_nobody_and_writes_nowhere(pod: dict[str, Any]) -> None:
    spec = pod["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    for container in (*spec["containers"], *spec.get("initContainers", [])):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}


@pytest.mark.parametrize("name", NAMES)
def test_a_service_is_probed_for_life_and_for_readiness_apart(name: str) -> None:
    """An engine that is away must not make Kubernetes start processes again that are well."""
    [container] = of_kind(*LASTING)[name]["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["serve", name]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_what_the_door_took_while_kafka_was_away_is_on_a_disk_that_stays_with_the_replica() -> None:
    spec = of_kind("StatefulSet")["events"]["spec"]
    [container] = spec["template"]["spec"]["containers"]
    [place] = [m["mountPath"] for m in container["volumeMounts"] if m["name"] == "data"]
    assert place == "/data"
    [claim] = spec["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "data"
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Gi"
    assert Settings.model_fields["spool_mb"].default * 2 < 1024


@pytest.mark.parametrize("name", NAMES)
def test_a_service_grows_by_its_own_lag_and_its_processor_up_to_the_partitions(name: str) -> None:
    spec = of_kind("HorizontalPodAutoscaler")[name]["spec"]
    assert spec["scaleTargetRef"]["name"] == name
    assert spec["scaleTargetRef"]["kind"] == of_kind(*LASTING)[name]["kind"]
    assert spec["maxReplicas"] == Settings.model_fields["kafka_partitions"].default
    lag, processor = spec["metrics"]
    assert lag["external"]["metric"] == {
        "name": "guildhall_consumer_lag_records",
        "selector": {"matchLabels": {"service": name}},
    }
    assert processor["resource"]["name"] == "cpu"
    assert "replicas" not in of_kind(*LASTING)[name]["spec"]


@pytest.mark.parametrize("name", [*NAMES, "gateway"])
def test_a_node_may_be_drained_without_the_last_replica_going(name: str) -> None:
    budget = of_kind("PodDisruptionBudget")[name]["spec"]
    assert budget["maxUnavailable"] == 1
    labels = of_kind(*LASTING)[name]["spec"]["template"]["metadata"]["labels"]
    assert budget["selector"]["matchLabels"].items() <= labels.items()


def test_nobody_talks_to_anybody_unless_it_is_allowed() -> None:
    policies = of_kind("NetworkPolicy")
    assert policies["nobody"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    services = policies["services"]["spec"]
    [ingress] = services["ingress"]
    assert ingress["from"][0] == {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "gateway"}}}
    assert {port["port"] for rule in services["egress"] for port in rule["ports"]} == {5432, 9092, 9093, 9094}
    for name in [*NAMES, "migrate"]:
        labels = of_kind(*LASTING, "Job")[name]["spec"]["template"]["metadata"]["labels"]
        assert services["podSelector"]["matchLabels"].items() <= labels.items()


def test_secrets_are_named_and_not_contained() -> None:
    assert not of_kind("Secret")
    for name in [*NAMES, "migrate"]:
        [container] = of_kind(*LASTING, "Job")[name]["spec"]["template"]["spec"]["containers"]
        assert all(variable.keys() == {"name", "valueFrom"} for variable in container["env"])
        assert {v["name"] for v in container["env"]} == SECRET


@pytest.mark.parametrize("name", [*NAMES, "migrate"])
def test_a_broker_with_tls_and_names_takes_no_more_than_settings_and_secrets(name: str) -> None:
    """Where there are none the pod starts without."""
    spec = of_kind(*LASTING, "Job")[name]["spec"]["template"]["spec"]
    [container] = spec["containers"]
    [password] = [v["valueFrom"]["secretKeyRef"] for v in container["env"] if v["name"].endswith("KAFKA_PASSWORD")]
    assert password == {"name": "guildhall", "key": "kafka-password", "optional": True}
    [authority] = [v["secret"] for v in spec["volumes"] if v["name"] == "kafka-ca"]
    assert authority["optional"] is True
    [place] = [m["mountPath"] for m in container["volumeMounts"] if m["name"] == "kafka-ca"]
    given = {
        "database_url": "postgresql+asyncpg://host/name",
        "kafka": "broker:9093",
        "secret_key": "k" * 32,
        "kafka_tls": "true",
        "kafka_tls_ca": f"{place}/ca.crt",
        "kafka_sasl": "SCRAM-SHA-512",
        "kafka_username": "guildhall",
        "kafka_password": "secret",
    }
    assert load_settings({PREFIX + setting.upper(): value for setting, value in given.items()}).kafka_tls


def test_every_setting_in_them_is_one_of_ours() -> None:
    """An unknown one refuses to boot."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert of_kind("ConfigMap")["guildhall"]["data"].keys() <= known
