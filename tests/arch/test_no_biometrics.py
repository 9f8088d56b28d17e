"""No face recognition, no re-identification, no profiling of people: not in code, schema, API or dependency (G26).

`design.md` §2 and `domain.md` §9.7 say why; a city can show this test to its auditor. Words are compared one by one
(`has_interface` is not a face), a single word where it can mean nothing else, a pair where it takes two to say it.
"""

from __future__ import annotations

import ast
import importlib
import io
import itertools
import json
import pkgutil
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import anwang
from anwang.stores.state import media_metadata, metadata

ROOT = Path(__file__).parents[2]

ALONE = {
    "face", "faces", "facial", "biometric", "biometrics", "reid", "reidentify", "reidentification", "gait", "faceprint",
    "faceid", "arcface", "insightface", "facenet", "deepface", "mugshot", "profiling", "ethnicity", "ethnic",
}  # fmt: skip
PEOPLE = {"person", "persons", "people", "pedestrian", "pedestrians", "human", "humans", "body", "citizen"}
DEEDS = {
    "search", "track", "tracks", "tracking", "trajectory", "identity", "identify", "identification", "recognition",
    "recognize", "match", "matching", "embedding", "embeddings", "feature", "features", "attribute", "attributes",
    "profile", "profiles", "gallery", "similarity", "compare", "score",
}  # fmt: skip
CHINESE = ("人脸", "人像", "步态", "行人重识别", "人员轨迹", "人员画像", "虹膜", "声纹", "指纹识别")
PACKAGES = re.compile(
    r"face|dlib|insight|deepface|reid|biometr|retinaface|arcface|mtcnn|fawkes|speechbrain|openpose|gait", re.IGNORECASE
)

#: labels of national code tables, which must be complete to be read; nothing is computed with them (domain.md §9.7)
LABELS = {
    "人脸卡口",  # FunctionType 01 of the camera file
    "人脸抓拍",
    "face checkpoint",
    "face capture",
}
#: the word's other uses, file by file and exactly: sides of drawn solids, type faces, the faces of a page (empty,
#: loading, failed), and the code-table value of FunctionType 01
OTHER_USES: dict[str, set[str]] = {
    "anwang/democity/pictures/moving.py": {"Face", "face", "faces", "face_depth", "_vehicle_faces"},
    "anwang/democity/pictures/paint.py": {"face", "faces"},
    "anwang/democity/pictures/scenes/industry.py": {"face", "faces"},
    "anwang/democity/pictures/scenes/places.py": {"face", "faces"},
    "anwang/democity/pictures/scenes/scene.py": {"face", "faces"},
    "anwang/registry/fields.py": {"face"},
    "ui/src/map/MapCanvas.tsx": {"faces", "fontFaces"},
    "ui/src/map/fonts.ts": {"fontFaces"},
    "ui/src/media/LivePicture.tsx": {"LiveFace"},
    "ui/src/media/device/DevicePicture.tsx": {"VideoFace"},
    "ui/src/media/playback/ReplayPicture.tsx": {"VideoFace", "VideoFaceProps"},
    "ui/src/media/tile/LiveFace.tsx": {"LiveFace", "LiveFaceProps", "VideoFace", "VideoFaceProps"},
    "ui/src/media/tile/Tile.tsx": {"LiveFace"},
    "ui/src/media/tile/VideoFace.tsx": {"VideoFace", "VideoFaceKind", "VideoFaceProps"},
    "ui/src/media/wall/WallPage.tsx": {"VideoFace"},
    "ui/src/shared/Face.tsx": {"FaceKind", "FaceProps"},
}
#: this subject itself: refusals that say what is not done
REFUSALS = ("Face and Person objects are refused",)


def words_of(identifier: str) -> list[str]:
    """`FaceSearch`, `face_search`, `faceSearch2` → face, search."""
    spaced = re.sub(r"([a-z0-9])([A-Z])|([A-Z]+)([A-Z][a-z])", r"\1\3 \2\4", identifier)
    return [word.lower() for word in re.findall(r"[A-Za-z]+", spaced)]


def forbidden(text: str) -> str:
    """The word or pair that must not be here; empty if all is well."""
    for word in CHINESE:
        if word in text:
            return word
    words = words_of(text)
    for word in words:
        if word in ALONE:
            return word
    for before, after in itertools.pairwise(words):
        if (before in PEOPLE and after in DEEDS) or (before in DEEDS and after in PEOPLE) or (before, after) == (
            "re", "identification",
        ):  # fmt: skip
            return f"{before} {after}"
    return ""


@pytest.mark.parametrize(
    "text",
    ["face_id", "FaceSearch", "matchFaces", "person_reid", "personSearch", "PERSON_TRACK", "track_person", "gaitModel",
     "人脸识别", "pedestrian_attributes", "re_identification", "person-embedding", "body_features"],
)  # fmt: skip
def test_the_search_finds_what_it_should(text: str) -> None:
    assert forbidden(text)


@pytest.mark.parametrize(
    "text", ["interface", "surface", "has_interface", "person", "request_body", "body_bytes", "profile_token",
             "iris_open", "fingerprint", "track_id", "match", "somebody_tracks", "feature_flags"],
)  # fmt: skip
def test_the_search_leaves_the_rest_alone(text: str) -> None:
    assert not forbidden(text)


def names_in(tree: ast.AST) -> Iterator[str]:
    """Every identifier a module makes or uses."""
    for node in ast.walk(tree):
        for field in ("id", "name", "attr", "arg", "asname", "module"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                yield value


def texts_in(tree: ast.AST) -> Iterator[str]:
    """Every string a program could act on: not its docstrings, which may say what is not done."""
    told = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                told.add(id(statement.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value


def test_g26_no_identifier_or_text_of_the_program() -> None:
    found = []
    for path in sorted((ROOT / "anwang").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        used_otherwise = OTHER_USES.get(path.relative_to(ROOT).as_posix(), set())
        for name in names_in(tree):
            if name not in used_otherwise and (word := forbidden(name)):
                found.append(f"{path.relative_to(ROOT)}: {name} ({word})")
        for text in texts_in(tree):
            if text.strip() in LABELS or text in used_otherwise or any(said in text for said in REFUSALS):
                continue
            for part in re.split(r"[\n.,;:，。；]", text):
                if word := forbidden(part):
                    found.append(f"{path.relative_to(ROOT)}: {part.strip()[:80]!r} ({word})")
    assert not found


def test_g26_no_identifier_of_the_user_interface() -> None:
    found = []
    for path in sorted((ROOT / "ui" / "src").rglob("*")):
        if path.suffix not in (".ts", ".tsx") or "node_modules" in path.parts:
            continue
        code = re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text("utf-8"), flags=re.DOTALL)
        used_otherwise = OTHER_USES.get(path.relative_to(ROOT).as_posix(), set()) | {"Face", "face", "faces"}
        for name in sorted(set(re.findall(r"[A-Za-z_$][\w$]*", code)) - used_otherwise):
            if word := forbidden(name):
                found.append(f"{path.relative_to(ROOT)}: {name} ({word})")
        found += [
            f"{path.relative_to(ROOT)}: {word}" for word in CHINESE if word in code and not _labels_only(code, word)
        ]
    assert not found


def _labels_only(code: str, word: str) -> bool:
    return all(any(label in line for label in LABELS) for line in code.splitlines() if word in line)


def test_g26_no_data_file() -> None:
    """Code tables, SQL, JSON: their words, beyond the labels of national tables."""
    found = []
    for path in sorted((ROOT / "anwang").rglob("*")):
        if path.suffix not in (".csv", ".json", ".sql", ".toml") or "static" in path.parts:
            continue
        for line in path.read_text("utf-8").splitlines():
            for label in LABELS:
                line = line.replace(label, "")
            if word := forbidden(line):
                found.append(f"{path.relative_to(ROOT)}: {line[:80]} ({word})")
    assert not found


def test_g26_no_table_or_column() -> None:
    for module in pkgutil.walk_packages(anwang.__path__, "anwang."):
        if module.name.rpartition(".")[2] == "store":
            importlib.import_module(module.name)
    found = []
    for tables in (metadata, media_metadata):
        assert tables.tables
        for table in tables.tables.values():
            for name in (table.name, *(column.name for column in table.columns)):
                if word := forbidden(name):
                    found.append(f"{table.name}.{name} ({word})")
    assert not found


def test_g26_no_route_or_field_of_the_api() -> None:
    """What the running program says of itself (docs/openapi.json is generated from it): paths, parameters, the fields
    of what is taken and given, and the values of its vocabularies.
    """
    api = json.loads((ROOT / "docs" / "openapi.json").read_text("utf-8"))
    named = list(api["paths"])
    for path in api["paths"].values():
        for method in path.values():
            named += [one["name"] for one in method.get("parameters", ())]
    for name, shape in api["components"]["schemas"].items():
        named += [name, *(f"{name}.{field}" for field in shape.get("properties", ())), *map(str, shape.get("enum", ()))]
    assert len(api["paths"]) > 100 and len(named) > 1000, "nothing was looked at"
    assert not [name for name in named if forbidden(name)]


def test_g26_no_dependency() -> None:
    found = []
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text("utf-8").splitlines():
            package = re.match(r"[A-Za-z0-9_.-]+", line)
            if package and PACKAGES.search(package[0].replace("interface", "")):
                found.append(f"{name}: {package[0]}")
    lock = ROOT / "ui" / "package-lock.json"
    if lock.exists():
        for package_name in re.findall(r'"node_modules/([^"]+)"', lock.read_text("utf-8")):
            if PACKAGES.search(package_name.replace("interface", "").replace("fontface", "").replace("surface", "")):
                found.append(f"package-lock.json: {package_name}")
    assert not found


def test_no_comment_promises_it() -> None:
    """A comment like `# later: match faces` is where it begins."""
    found = []
    promise = re.compile(r"(later|todo|future|soon|could).{0,40}\b(faces?|gait|re-?id)\b", re.IGNORECASE)
    for path in sorted((ROOT / "anwang").rglob("*.py")):
        for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
            if token.type == tokenize.COMMENT and promise.search(token.string):
                found.append(f"{path.relative_to(ROOT)}: {token.string}")
    assert not found
