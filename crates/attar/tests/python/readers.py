"""What the tools of others read of our files, as JSON: run by the ignored tests of `tests/it/readers.rs`.

    readers.py tensorboard RUN    scalars by tag, as TensorBoard's own reader has them
    readers.py card DIRECTORY     the card's metadata, as huggingface_hub has it, after its own checks
    readers.py cyclonedx FILE     what CycloneDX's validator of 1.6 finds wrong
    readers.py boamps SCHEMAS FILE  what the schemas of BoAmps in a folder find wrong
"""
import json
import pathlib
import sys


def tensorboard(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(run, size_guidance={"scalars": 0})
    accumulator.Reload()
    return {tag: [[event.step, event.value] for event in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]}


def card(directory):
    from huggingface_hub import ModelCard
    from huggingface_hub.repocard import metadata_load

    path = pathlib.Path(directory) / "README.md"
    loaded = ModelCard.load(path)
    assert not loaded.data.to_dict().get("error")
    results = [
        {"task": result.task_type, "dataset": result.dataset_name, "metric": result.metric_type, "value": result.metric_value}
        for result in loaded.data.eval_results or []
    ]
    return {"metadata": metadata_load(path), "results": results, "text": loaded.text}


def cyclonedx(file):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(pathlib.Path(file).read_text())
    return {"errors": [] if found is None else [str(found)[:2000]]}


def boamps(schemas, file):
    import jsonschema
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT4

    folder = pathlib.Path(schemas)
    known = [json.loads(path.read_text()) for path in sorted(folder.glob("*_schema.json"))]
    registry = Registry().with_resources((rules["id"], Resource(rules, DRAFT4)) for rules in known)
    report = json.loads((folder / "report_schema.json").read_text())
    validator = jsonschema.Draft4Validator(report, registry=registry)
    found = validator.iter_errors(json.loads(pathlib.Path(file).read_text()))
    return {"errors": [f"{'/'.join(map(str, error.path))}: {error.message[:200]}" for error in found]}


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    commands = {"tensorboard": tensorboard, "card": card, "cyclonedx": cyclonedx, "boamps": boamps}
    print(json.dumps(commands[command](*arguments)))
