"""Drives the stages one by one over gRPC, with nothing of ours but their addresses and a token.

    python stages.py ROWS.csv NEW.csv TARGET REPORT.html ingestion=HOST:PORT preparation=HOST:PORT …

Needs grpcio and grpcio-reflection; every message type comes from the servers' reflection. The token, if one is needed,
is read from the variable TOKEN. Prints one JSON object: digests and states of everything it made.
"""

import hashlib
import json
import os
import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

CHUNK = 1 << 16


class Stage:
    """One server: its services by full name, found by reflection."""

    def __init__(self, address, token):
        self.channel = grpc.insecure_channel(address)
        grpc.channel_ready_future(self.channel).result(timeout=30)
        self.metadata = [("authorization", f"Bearer {token}")] if token else []
        database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = descriptor_pool.DescriptorPool(database)
        self.services = set(database.get_services())

    def method(self, service, name):
        assert service in self.services, f"{service} is not among {sorted(self.services)}"
        return self.pool.FindServiceByName(service).FindMethodByName(name)

    def request(self, service, name, fields):
        kind = message_factory.GetMessageClass(self.method(service, name).input_type)
        return json_format.ParseDict(fields, kind())

    def stub(self, service, name, way):
        method = self.method(service, name)
        answer = message_factory.GetMessageClass(method.output_type)
        make = getattr(self.channel, way)
        return make(f"/{service}/{name}", request_serializer=lambda m: m.SerializeToString(), response_deserializer=answer.FromString)

    def call(self, service, name, fields):
        """One answer, as a dict with the names of the contract."""
        stub = self.stub(service, name, "unary_unary")
        answer = stub(self.request(service, name, fields), metadata=self.metadata, timeout=60)
        return json_format.MessageToDict(answer, preserving_proto_field_name=True)

    def job(self, service, noun, spec):
        """Hands a job in, watches it to its end, and answers its result."""
        created = self.call(service, f"Create{noun}Job", {"spec": spec})["job"]["job"]
        watch = self.stub(service, f"Watch{noun}Job", "unary_stream")
        for _event in watch(self.request(service, f"Watch{noun}Job", {"id": created["id"]}), metadata=self.metadata, timeout=600):
            pass
        done = self.call(service, f"Get{noun}Job", {"id": created["id"]})["job"]
        assert done["job"]["state"] == "JOB_STATE_SUCCEEDED", done
        return done["result"]


def upload(stage, path):
    """Sends a file, checked by its digest, and answers the artifact."""
    service, name = "gristmill.artifact.v1alpha1.ArtifactService", "UploadArtifact"
    with open(path, "rb") as file:
        data = file.read()
    digest = hashlib.sha256(data).hexdigest()
    kind = message_factory.GetMessageClass(stage.method(service, name).input_type)

    def items():
        yield json_format.ParseDict({"begin": {"name": os.path.basename(path), "digest": digest}}, kind())
        for at in range(0, len(data), CHUNK):
            yield kind(chunk=data[at : at + CHUNK])

    answer = stage.stub(service, name, "stream_unary")(items(), metadata=stage.metadata, timeout=60)
    return json_format.MessageToDict(answer, preserving_proto_field_name=True)["artifact"]


def download(stage, artifact, part):
    """The bytes of one part, checked against the manifest's digest."""
    service = "gristmill.artifact.v1alpha1.ArtifactService"
    manifest = stage.call(service, "GetArtifact", {"artifact": artifact})["artifact"]
    digest = next(p["digest"] for p in manifest["parts"] if p["name"] == part)
    read = stage.stub(service, "ReadArtifact", "unary_stream")
    request = stage.request(service, "ReadArtifact", {"artifact": artifact, "part": part})
    data = b"".join(answer.chunk for answer in read(request, metadata=stage.metadata, timeout=60))
    assert digest.endswith(hashlib.sha256(data).hexdigest()), f"{part} is not what its manifest says"
    return data


def main():
    rows, new, target, page, *addresses = sys.argv[1:]
    token = os.environ.get("TOKEN", "")
    stages = {name: Stage(address, token) for name, address in (one.split("=", 1) for one in addresses)}
    service = lambda stage: f"gristmill.{stage}.v1alpha1.{stage.capitalize()}Service"
    registry = stages["registry"]

    def ingest(path):
        spec = {"sources": [{"name": "rows", "artifact": upload(registry, path), "display_name": os.path.basename(path)}]}
        return stages["ingestion"].job(service("ingestion"), "Ingestion", spec)

    data = ingest(rows)
    prepared = stages["preparation"].job(
        service("preparation"), "Preparation", {"dataset": data["dataset"], "target": target, "seed": 42}
    )
    splits = {key: prepared[key] for key in ("transform", "train", "validation")}
    study = stages["training"].job(service("training"), "Study", {**splits, "trials": 4, "seed": 42})
    evaluated = stages["evaluation"].job(
        service("evaluation"),
        "Evaluation",
        {"model": study["model"], "test": prepared["test"], "seen": [prepared["train"], prepared["validation"]], "seed": 42},
    )
    passed = evaluated["verdict"]["state"] == "VERDICT_STATE_PASSED"
    version = registry.call(
        service("registry"),
        "CreateModelVersion",
        {
            "name": "outside",
            "model": study["model"],
            "evaluation": evaluated["evaluation"],
            "verdict": evaluated["verdict"]["state"].removeprefix("VERDICT_STATE_").lower(),
            "seen": [prepared["train"], prepared["validation"]],
        },
    )["version"]
    alias = {"name": "outside", "alias": "champion", "version": version["version"], "reason": "seen by hand"}
    registry.call(service("registry"), "SetModelAlias", {**alias, "override_verdict": not passed})
    champion = registry.call(service("registry"), "GetModelVersion", {"name": "outside", "alias": "champion"})["version"]
    drift = stages["monitoring"].job(
        service("monitoring"), "Monitoring", {"model": study["model"], "rows": [ingest(new)["dataset"]], "seed": 42}
    )
    report = download(registry, evaluated["evaluation"], "report.html")
    with open(page, "wb") as file:
        file.write(report)
    made = [data["dataset"], prepared["train"], prepared["test"], study["model"], evaluated["evaluation"], drift["report"]]
    print(
        json.dumps(
            {
                "artifacts": made,
                "leaderboard": len(study["leaderboard"]),
                "verdict": evaluated["verdict"]["state"],
                "champion": champion["version"],
                "drift": drift["state"],
                "report_bytes": len(report),
            }
        )
    )


if __name__ == "__main__":
    main()
