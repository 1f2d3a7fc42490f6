"""Checks the compose files, as far as that can be done without a container engine.

They are what the Compose specification allows, every `TALLY_` variable is a setting of config.toml, every variable that
they leave open is in .env.example, images are pinned, services are watched, limited and hardened, and no secret is
written in them.
"""

import json
import re
import sys
import tomllib
from importlib import resources
from pathlib import Path

import yaml
from jsonschema.validators import validator_for

FILES = ("docker-compose.yml", "docker-compose.single.yml")
PREFIX = "TALLY_"
FILE = "_FILE"
MOUNTED = "/run/secrets/"
SECRETS = "./deploy/secrets/"
OPEN = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
PINNED = re.compile(r":\d+\.\d+(\.\d+)?(-[\w.]+)*$")
SECRET_NAME = re.compile(r"PASS|SECRET|TOKEN|CREDENTIAL|_KEY")
SECRET_VALUE = re.compile(r"://[^/\s]*:[^/\s]*@")


def faults(root):
    """Everything that is wrong with the files below that folder, as sentences."""
    found = []
    example = assignments((root / ".env.example").read_text())
    settings = setting_variables(root)
    opened = {}
    for name in FILES:
        text = (root / name).read_text()
        try:
            found += [f"{name}: {fault}" for fault in file_faults(root, text, settings)]
        except yaml.YAMLError as error:
            found.append(f"{name}: is no YAML: {error}")
        for variable, default in OPEN.findall(text):
            opened[variable] = default
            if example.get(variable) != default:
                found.append(f"{name}: `{variable}` has the default `{default}`, .env.example has `{example.get(variable)}`")
    found += [f".env.example: no compose file reads `{name}`" for name in example.keys() - opened.keys()]
    found += [f".env.example: {fault}" for fault in variable_faults(example, settings)]
    found += [f"Dockerfile: {fault}" for fault in dockerfile_faults((root / "Dockerfile").read_text(), settings)]
    return found


def file_faults(root, text, settings):
    """What is wrong with one compose file."""
    yield from repeated_keys(yaml.compose(text, Loader=yaml.SafeLoader), set())
    document = yaml.safe_load(text)
    yield from schema_faults(document)
    services = document["services"]
    one_shot = {
        other
        for service in services.values()
        for other, how in dependencies(service).items()
        if how == "service_completed_successfully"
    }
    for name, service in services.items():
        for fault in service_faults(root, service, services, name in one_shot, settings):
            yield f"service `{name}`: {fault}"
    yield from secret_faults(document)
    for string in strings(document):
        if SECRET_VALUE.search(string):
            yield f"a URL holds a password: `{string.split('://')[0]}://…`"


def repeated_keys(node, seen):
    """Keys that a mapping has twice: the last would silently hold."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        yield from (f"`{key}` is there twice (line {node.start_mark.line + 1})" for key in set(keys) if keys.count(key) > 1)
        for _, value in node.value:
            yield from repeated_keys(value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from repeated_keys(value, seen)


def schema_faults(document):
    """Where the document is not what the Compose specification allows."""
    schema = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema = json.loads(schema.read_text())
    for error in validator_for(schema)(schema).iter_errors(document):
        yield f"`{'.'.join(map(str, error.absolute_path))}`: {error.message}"


def service_faults(root, service, services, is_one_shot, settings):
    """What is wrong with one service."""
    image = service.get("image", "")
    if "build" not in service and not PINNED.search(image):
        yield f"image `{image}` is not pinned to a version"
    if not is_one_shot and not is_watched(service):
        yield "has no health check"
    if is_one_shot and service.get("restart") != "no":
        yield "is to end and would be started again: expected `restart: \"no\"`"
    if not is_one_shot and service.get("restart") != "unless-stopped":
        yield "is not started again where it ended"
    if not is_one_shot and "stop_grace_period" not in service:
        yield "has no stop_grace_period"
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    yield from (f"has no limit of `{kind}`" for kind in ("cpus", "memory", "pids") if kind not in limits)
    if not service.get("read_only"):
        yield "can write to its image's files"
    if service.get("cap_drop") != ["ALL"]:
        yield "keeps capabilities"
    if "no-new-privileges:true" not in service.get("security_opt", []):
        yield "can gain privileges"
    for other, how in dependencies(service).items():
        if how == "service_healthy" and not is_watched(services.get(other, {})):
            yield f"waits for the health of `{other}`, which has no health check"
    environment = environment_of(service)
    yield from variable_faults(environment, settings)
    for name, value in environment.items():
        if name.endswith(FILE) and value.removeprefix(MOUNTED) not in service.get("secrets", []):
            yield f"`{name}` is `{value}`, which is no secret of the service"
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith(".") and not (root / source).exists():
            yield f"mounts `{source}`, which is not there"


def variable_faults(variables, settings):
    """Variables that are no settings, are set twice, or hold a secret."""
    for name, value in variables.items():
        plain = name.removesuffix(FILE)
        if name.startswith(PREFIX) and name not in settings and plain not in settings:
            yield f"`{name}` is no setting of config.toml"
        if plain != name and plain in variables:
            yield f"`{plain}` and `{name}` are both set"
        if plain == name and SECRET_NAME.search(name):
            yield f"`{name}` is a secret in clear: expected `{name}{FILE}`"
        if SECRET_VALUE.search(str(value)):
            yield f"`{name}` holds a password"


def secret_faults(document):
    """Secrets that are not files of the folder for them, that nothing uses, or that nobody declared."""
    declared = document.get("secrets", {})
    used = {secret for service in document["services"].values() for secret in service.get("secrets", [])}
    yield from (f"secret `{name}` is not declared" for name in used - declared.keys())
    yield from (f"secret `{name}` is not used" for name in declared.keys() - used)
    for name, secret in declared.items():
        if secret != {"file": SECRETS + name}:
            yield f"secret `{name}` is not the file `{SECRETS}{name}`"


def dockerfile_faults(text, settings):
    """Images without a version, and variables that are no settings."""
    for image in re.findall(r"^FROM (\S+)", text, re.MULTILINE):
        if not PINNED.search(image):
            yield f"image `{image}` is not pinned to a version"
    yield from variable_faults(dict(re.findall(r"^ENV (\w+)=(.*)$", text, re.MULTILINE)), settings)


def setting_variables(root):
    """The variable of each setting of config.toml."""
    names = set()
    for section, value in tomllib.loads((root / "config.toml").read_text()).items():
        keys = [f"{section}__{key}" for key in value] if isinstance(value, dict) else [section]
        names |= {PREFIX + key.upper() for key in keys}
    return names


def assignments(text):
    """The lines `NAME=value` of such a file."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def environment_of(service):
    """The variables of a service, however they are written."""
    environment = service.get("environment", {})
    if isinstance(environment, list):
        return dict(entry.partition("=")[::2] for entry in environment)
    return environment


def dependencies(service):
    """The services that one waits for, and until when."""
    depends_on = service.get("depends_on", {})
    if isinstance(depends_on, list):
        return dict.fromkeys(depends_on, "service_started")
    return {name: how["condition"] for name, how in depends_on.items()}


def is_watched(service):
    """Whether a service has a health check that is run."""
    check = service.get("healthcheck", {})
    return "test" in check and not check.get("disable")


def strings(value):
    """All texts in a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for inner in value.values() for text in strings(inner))
    elif isinstance(value, list):
        yield from (text for inner in value for text in strings(inner))


def main():
    found = faults(Path(sys.argv[1]))
    for fault in found:
        print(fault, file=sys.stderr)
    if found:
        sys.exit(1)
    print(f"{', '.join(FILES)}: as they should be")


if __name__ == "__main__":
    main()
