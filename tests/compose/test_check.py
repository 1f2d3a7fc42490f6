"""The check of the compose files finds what is broken: each test breaks one thing in a copy."""

import shutil
import tempfile
import unittest
from pathlib import Path

from check import FILES, faults

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = "docker-compose.yml"


class Check(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for name in (*FILES, ".env.example", "Dockerfile", "config.toml"):
            shutil.copy(ROOT / name, self.root / name)
        shutil.copytree(ROOT / "deploy", self.root / "deploy")

    def broken(self, name, old, new):
        """What is said when that text of that file is another."""
        path = self.root / name
        text = path.read_text()
        self.assertIn(old, text, f"{name} no longer has what this test breaks")
        path.write_text(text.replace(old, new, 1))
        return "\n".join(faults(self.root))

    def test_the_files_of_the_repository_are_as_they_should_be(self):
        self.assertEqual(faults(self.root), [])

    def test_what_the_specification_does_not_know_is_found(self):
        self.assertIn("'imagge' was unexpected", self.broken(COMPOSE, "image: redis", "imagge: redis"))
        self.assertIn("`services.redis.healthcheck.retries`", self.broken(COMPOSE, "retries: 5", "retries: [often]"))

    def test_what_is_no_yaml_or_there_twice_is_found(self):
        self.assertIn("`api` is there twice", self.broken(COMPOSE, "  worker:\n", "  api:\n"))
        self.assertIn("is no YAML", self.broken(COMPOSE, "services:\n", "services: [\n"))

    def test_a_variable_that_is_no_setting_is_found(self):
        said = self.broken(COMPOSE, "TALLY_CATALOG__URL_FILE", "TALLY_CATALOG__ULR_FILE")
        self.assertIn("service `worker`: `TALLY_CATALOG__ULR_FILE` is no setting of config.toml", said)
        said = self.broken(".env.example", "TALLY_LOG__LEVEL", "TALLY_LOG__LEVLE")
        self.assertIn(".env.example: `TALLY_LOG__LEVLE` is no setting of config.toml", said)
        self.assertIn("Dockerfile: `TALLY_BIND` is no", self.broken("Dockerfile", "TALLY_SERVER__BIND", "TALLY_BIND"))
        self.assertIn("is no setting", self.broken("config.toml", "[queue]", "[queues]"))

    def test_an_open_variable_is_in_the_example_with_the_same_default(self):
        self.assertIn("`LISTEN_PORT` has the default `8080`", self.broken(".env.example", "LISTEN_PORT=8080\n", ""))
        self.assertIn("`API_REPLICAS` has the default `3`", self.broken(COMPOSE, "API_REPLICAS:-2", "API_REPLICAS:-3"))
        self.assertIn("no compose file reads `COLOUR`", self.broken(".env.example", "WORKER", "COLOUR=red\nWORKER"))

    def test_an_image_without_a_version_is_found(self):
        for image in ("redis", "redis:latest", "redis:7"):
            with self.subTest(image):
                self.setUp()
                said = self.broken(COMPOSE, "redis:7.4.5-bookworm", image)
                self.assertIn(f"service `redis`: image `{image}` is not pinned", said)
        self.assertIn("Dockerfile: image `debian:slim`", self.broken("Dockerfile", "FROM debian:", "FROM debian:slim\n#"))

    def test_a_service_that_is_not_watched_limited_or_hardened_is_found(self):
        for old, new, said in [
            ("    healthcheck:\n      # Over", "    x-checked:\n      # Over", "service `postgres`: has no health check"),
            ("      # Over", "      disable: true\n      # Over", "service `migrate`: waits for the health of `postgres`"),
            ('restart: "no"', "restart: always", "service `migrate`: is to end"),
            ("restart: unless-stopped", "restart: always", "service `redis`: is not started again"),
            ("    stop_grace_period: 60s", "", "service `postgres`: has no stop_grace_period"),
            ("          pids: 128\n", "", "service `redis`: has no limit of `pids`"),
            ("read_only: true", "read_only: false", "service `proxy`: can write"),
            ("cap_drop: [ALL]", "cap_drop: [KILL]", "service `api`: keeps capabilities"),
            ("no-new-privileges:true", "no-new-privileges:false", "service `worker`: can gain privileges"),
            ("./deploy/redis.conf:", "./deploy/other.conf:", "service `redis`: mounts `./deploy/other.conf`"),
        ]:
            with self.subTest(said):
                self.setUp()
                self.assertIn(said, self.broken(COMPOSE, old, new))

    def test_a_secret_in_clear_is_found(self):
        for old, new, said in [
            ("POSTGRES_PASSWORD_FILE: /run/secrets/postgres_password", "POSTGRES_PASSWORD: x", "`POSTGRES_PASSWORD` is a secret in clear"),
            ("TALLY_QUEUE__URL_FILE: /run/secrets/queue_url", "TALLY_QUEUE__URL: redis://:x@redis", "`TALLY_QUEUE__URL` holds a password"),
            ('["worker"]', '["worker", "redis://:x@redis"]', "a URL holds a password: `redis://…`"),
            ("    file: ./deploy/secrets/redis_acl", "    environment: REDIS_ACL", "secret `redis_acl` is not the file"),
            ("secrets: [redis_acl]", "secrets: [acl]", "secret `acl` is not declared"),
            ("/run/secrets/postgres_password", "/run/secrets/password", "`/run/secrets/password`, which is no secret"),
            ("  TALLY_QUEUE__URL_FILE:", "  TALLY_QUEUE__URL: x\n  TALLY_QUEUE__URL_FILE:", "`TALLY_QUEUE__URL` and `TALLY_QUEUE__URL_FILE` are both set"),
        ]:
            with self.subTest(said):
                self.setUp()
                self.assertIn(said, self.broken(COMPOSE, old, new))


if __name__ == "__main__":
    unittest.main()
