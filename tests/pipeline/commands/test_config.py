import json
import re

from click.testing import CliRunner

from pipeline.cli import pneumo
from pipeline.config_file import load_config, shipped


def config(*arguments: str) -> str:
    result = CliRunner().invoke(pneumo, ["config", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_list_has_a_line_for_each_configuration() -> None:
    head, *rows = config("list").splitlines()
    assert head.split() == ["NAME", "BACKBONE", "TASK", "PURPOSE"]
    assert [row.split()[0] for row in rows] == list(shipped())
    assert max(map(len, rows)) < 130


def test_show_prints_the_file_or_every_default() -> None:
    assert config("show", "xception") == shipped()["xception"].read_text()
    assert config("show", "xception", "--full") == load_config("xception").to_yaml()


def test_schema_describes_every_section() -> None:
    schema = json.loads(config("schema"))
    assert schema["properties"].keys() == load_config("demo").model_dump().keys()
    assert schema["$defs"]["TrainingOptions"]["properties"]["epochs"]["minimum"] == 1


def test_reference_has_every_key_once_with_type_and_default() -> None:
    text = config("reference")
    sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    assert "| `epochs` | integer, at least 1, at most 10000 | `60` |" in sections["training"]
    bound = "| `min` | number, at least 0, at most 1 | required |"
    assert bound in sections["evaluation.gate.NAME"]
    for name, section in sections.items():
        keys = re.findall(r"^\| `(\w+)` \|", section, re.M)
        assert keys, name
        assert len(keys) == len(set(keys)), name
    assert set(re.findall(r"\[([\w.]+)\]\(#", text)) == set(sections) - {"Top"}
