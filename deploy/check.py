#!/usr/bin/env python3
"""Checks that each role gets its own identities and no others, runs with the least rights, and is told only
settings that exist: check.py FOLDER, with compose.json, single.yaml and ha.yaml as the tools draw them."""
import json
import pathlib
import re
import sys

import yaml

folder = pathlib.Path(sys.argv[1])
USERS = {"console": "operator"}
AT_REDIS = {"api", "projector", "console"}
ROLES = {"api", "orchestrator", "worker", "projector", "console"}
SERVERS = {"nats", "redis"}
settings_file = folder / "settings"
SETTINGS = set(re.findall(r"^  ([A-Z][A-Z0-9_]+)", settings_file.read_text(), re.M)) if settings_file.exists() else None
OTHERS = {"NATS_NAME", "GOGC", "GOMEMLIMIT"}


def own(role):
    user = USERS.get(role, role)
    return {f"{user}.nats"} | ({f"{user}.redis"} if role in AT_REDIS else set())


def known(name, where):
    if SETTINGS is not None:
        is_known = name in SETTINGS | OTHERS or name.removesuffix("_FILE") in SETTINGS
        assert is_known, f"{where}: there is no setting {name}"


def compose():
    services = json.loads((folder / "compose.json").read_text())["services"]
    for name, service in services.items():
        where = f"compose: {name}"
        assert service["read_only"] and service["cap_drop"] == ["ALL"], where
        assert "no-new-privileges:true" in service["security_opt"] and "privileged" not in service, where
        # nats-server owns its volume, which Docker makes for root; it has no capability all the same.
        assert service.get("user") == "65532:65532" or name.startswith("nats-"), where
        published = [port.get("host_ip") for port in service.get("ports", [])]
        assert all(host == "127.0.0.1" for host in published), f"{where}: {published}"
        for setting in service.get("environment") or {}:
            known(setting, where)
        if name in ROLES | {"topology"}:
            secrets = {secret["source"] for secret in service["secrets"]} - {"keys"}
            assert secrets == own(name), f"{where}: {secrets}"
            assert service["environment"]["NATS_USER"] == USERS.get(name, name), where
            assert service["environment"]["TOPOLOGY"] == "check", where
            replicas = 1 if name in ("topology", "console") else 2
            assert service["deploy"]["replicas"] == replicas, where
            assert name in ("api", "console") or list(service["networks"]) == ["inside"], where
    assert sum(name.startswith("nats-") for name in services) == 3
    assert ROLES <= set(services)


def pods(objects):
    for o in objects:
        if o["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield o["metadata"]["name"].removeprefix("fanfold-"), o, o["spec"]["template"]


def kubernetes(overlay):
    objects = list(yaml.safe_load_all((folder / f"{overlay}.yaml").read_text()))
    found = {o["metadata"]["name"]: o for o in objects if o["kind"] in ("Secret", "ConfigMap")}
    for setting in found["fanfold-settings"]["data"]:
        known(setting, overlay)
    allowed = [o["spec"] for o in objects if o["kind"] == "NetworkPolicy"]
    for name, o, template in pods(objects):
        where, pod = f"{overlay}: {name}", template["spec"]
        assert pod["automountServiceAccountToken"] is False, where
        assert pod["securityContext"]["runAsNonRoot"] is True, where
        assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", where
        (container,) = pod["containers"]
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"] and not rights["allowPrivilegeEscalation"], where
        assert rights["capabilities"]["drop"] == ["ALL"], where
        assert "memory" in container["resources"]["limits"] and container["resources"]["requests"], where
        assert name == "topology" or {"readinessProbe", "livenessProbe"} <= set(container), where
        secrets = {v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v} - {"fanfold-keys"}
        assert all(secret in found for secret in secrets), where
        if name in ROLES | {"topology"}:
            user = USERS.get(name, name)
            assert secrets == {f"fanfold-{user}"}, f"{where}: {secrets}"
            assert {f"{user}.{key}" for key in found[f"fanfold-{user}"]["data"]} == own(name), where
            environment = {e["name"]: e["value"] for e in container["env"]}
            assert environment["NATS_USER"] == user, where
            for setting in environment:
                known(setting, where)
        labels = template["metadata"]["labels"]
        if "selector" in o["spec"]:
            assert o["spec"]["selector"]["matchLabels"].items() <= labels.items(), where
        of_nats = any(applies(policy, labels) and reaches(policy, "nats") for policy in allowed)
        of_redis = any(applies(policy, labels) and reaches(policy, "redis") for policy in allowed)
        assert of_nats == (name != "redis"), where
        assert of_redis == (name in AT_REDIS), where
    kinds = [o["kind"] for o in objects]
    assert kinds.count("PodDisruptionBudget") == (5 if overlay == "ha" else 0)
    replicas = {name: o["spec"].get("replicas", 1) for name, o, _ in pods(objects)}
    least = 2 if overlay == "ha" else 1
    assert all(replicas[name] >= least for name in ROLES - {"console"}), replicas
    wanted = "3" if overlay == "ha" else "1"
    assert found["fanfold-settings"]["data"]["REPLICAS"] == wanted and replicas["nats"] == int(wanted)


def applies(policy, labels):
    selector = policy["podSelector"]
    component = labels["app.kubernetes.io/component"]
    named = selector.get("matchLabels", {}).get("app.kubernetes.io/component", component)
    listed = [e["values"] for e in selector.get("matchExpressions", [])]
    return named == component and all(component in values for values in listed)


def reaches(policy, server):
    to = [peer for rule in policy.get("egress", []) for peer in rule.get("to", [])]
    return any(peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == server for peer in to)


def systemd():
    lines = pathlib.Path("systemd/fanfold.env").read_text().splitlines()
    for line in lines:
        setting = re.match(r"#?([A-Z_]+)=", line)
        if setting:
            known(setting[1], "systemd/fanfold.env")


compose()
kubernetes("single")
kubernetes("ha")
systemd()
against = "" if SETTINGS is not None else ", but not against the settings of the program"
print(f"deploy-check: every role has its own identities and the least rights{against}")
