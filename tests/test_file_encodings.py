"""The encoding of data files: read where it is certain, else refused with the plausible one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tfpipe.data.conll import read_conll
from tfpipe.data.examples import Columns
from tfpipe.data.read_examples import read_examples
from tfpipe.data.streaming import TextStream
from tfpipe.data.text_file import DataFile
from tfpipe.errors import UserError

PLAIN = ["nothing here but ASCII, as in most rows"] * 3
WESTERN = {
    "German": "Die Größe des Pakets war für mich überraschend, aber die Straße ist gesperrt",
    "French": "Le café était très bon mais le garçon n’est pas aimable, où est-il passé ?",
    "Spanish": "¿Dónde está mi paquete? El señor llegó mañana, ¡qué vergüenza! 1º piso",
    "Portuguese": "Não recebi a encomenda, quando será a devolução? As informações são más",
    "Italian": "Perché non è ancora arrivato? La qualità è pessima, così non va più",
    "Swedish": "Jag är missnöjd, paketet kom för sent på måndag",
    "Danish": "Jeg har ikke fået min pakke, hvor er den henne? Prøv på lørdag, æblet",
    "Icelandic": "Hvar er pakkinn minn? Það er ekki gott að bíða í tvær vikur, ómögulegt",
    "English": "I said “no” and it’s never – ever – worked… for 20 €",
}
CHINESE = "我的包裹还没有到，请问什么时候会送达？谢谢你们的服务"
# What is not certain: the text, the codec and iconv's name of it.
OTHERS = [
    ("Kde je můj balík? Čekám už dva týdny, děkuji předem za řešení", "cp1250", "WINDOWS-1250"),
    ("Zażółć gęślą jaźń, proszę o zwrot pieniędzy", "cp1250", "WINDOWS-1250"),
    ("Az első üzenet után nem jött válasz, kérem küldjék időben", "cp1250", "WINDOWS-1250"),
    (
        "Kargom gelmedi, lütfen sipariş durumunu bildirin, çok geç şimdi",
        "cp1254",
        "WINDOWS-1254",
    ),
    ("Laukiu dvi savaites ir niekas neatsako, ačiū už pagalbą, šį žodį", "cp1257", "WINDOWS-1257"),
    ("Где моя посылка? Я жду уже две недели", "cp1251", "WINDOWS-1251"),
    ("Где моя посылка? Я жду уже две недели, никто не отвечает", "koi8-r", "KOI8-R"),
    ("Πού είναι το δέμα μου; Περιμένω δύο εβδομάδες", "cp1253", "WINDOWS-1253"),
    ("荷物はまだ届いていません。いつ届きますか。", "cp932", "CP932"),
    ("荷物はまだ届いていません。いつ届きますか。", "euc_jp", "EUC-JP"),
    ("제 택배가 아직 도착하지 않았습니다. 언제 오나요? 환불", "cp949", "CP949"),
    ("我的包裹還沒有到，請問什麼時候會送達？謝謝", "big5", "BIG5"),
    ("Le café était très bon mais le garçon n’est pas aimable", "mac_roman", "MACINTOSH"),
    # Too little to be certain of.
    ("this kettle 很", "gb18030", "GB18030"),
]


def write(path: Path, texts: list[str], encoding: str) -> Path:
    content = "text\tlabel\n" + "".join(f"{text}\tx\n" for text in [*PLAIN, *texts])
    path.write_bytes(content.encode(encoding))
    return path


def refused(path: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        read_examples(path, Columns())
    return caught.value


@pytest.mark.parametrize(
    ("texts", "encoding", "reported"),
    [
        *[([text], "cp1252", "Windows-1252") for text in WESTERN.values()],
        ([CHINESE], "gbk", "GB18030"),
        (["the order is late 订单还没到", "谢谢 is all they said", CHINESE], "gb2312", "GB18030"),
        ([f"{CHINESE}😀 镕"], "gb18030", "GB18030"),
        ([CHINESE, "café", "\u010a\u0a0d"], "utf-16", "UTF-16"),
        ([CHINESE, "café"], "utf-8", None),
        ([CHINESE, "café"], "utf-8-sig", None),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_what_is_certain_is_read_and_told(
    tmp_path: Path, texts: list[str], encoding: str, reported: str | None, zipped: bool
) -> None:
    path = write(tmp_path / "a.tsv", texts, encoding)
    if zipped:
        content, path = path.read_bytes(), tmp_path / "a.tsv.gz"
        path.write_bytes(gzip.compress(content))
    examples = read_examples(path, Columns())
    assert examples.texts == [*PLAIN, *texts]
    assert [*examples.decisions] == ([f"read {path.name} as {reported}"] if reported else [])
    stream = TextStream(path, Columns(), False)
    assert [text for window in stream.windows(2) for text in window.texts] == examples.texts
    assert stream.decisions == examples.decisions


@pytest.mark.parametrize(("text", "codec", "name"), OTHERS)
def test_what_is_not_certain_is_refused_with_the_plausible_encoding(
    tmp_path: Path, text: str, codec: str, name: str
) -> None:
    error = refused(write(tmp_path / "a.tsv", [text], codec))
    assert error.wrong == "the data file is not valid UTF-8"
    assert f"a.tsv, line {len(PLAIN) + 2}: byte 0x" in error.found
    assert f"`iconv -f {name} -t UTF-8`" in error.fix


def test_utf8_with_a_few_damaged_lines_is_no_other_encoding(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", [CHINESE] * 5, "utf-8")
    path.write_bytes(path.read_bytes() + "schön\ty\n".encode("cp1252"))
    error = refused(path)
    assert error.wrong == "the data file is UTF-8 but for some lines"
    assert "line 10: byte 0xf6" in error.found and "iconv" not in error.fix


def test_utf8_that_was_cut_off_is_no_other_encoding(tmp_path: Path) -> None:
    for text in (CHINESE, "café", "so 😀"):
        whole = write(tmp_path / "a.tsv", [text], "utf-8").read_bytes()[: -len("\tx\n")]
        (tmp_path / "a.tsv").write_bytes(whole[:-1])
        error = refused(tmp_path / "a.tsv")
        assert error.wrong == "the data file ends in the middle of a character"


def test_utf16_without_its_end(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes("text\tlabel\na\tx\n".encode("utf-16")[:-1])
    assert "iconv -c -f UTF-16" in refused(tmp_path / "a.tsv").fix


def as_cesu8(text: str) -> bytes:
    units = text.encode("utf-16-be")
    pairs = (units[i : i + 2] for i in range(0, len(units), 2))
    return b"".join(chr(int.from_bytes(p, "big")).encode("utf-8", "surrogatepass") for p in pairs)


@pytest.mark.parametrize("text", ["好 😀😁", "a 𝄞 b"])
def test_surrogate_pairs_in_utf8_are_the_characters_that_they_stand_for(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(as_cesu8(f"text\tlabel\n{CHINESE}\tx\n{text}\ty\n"))
    examples = read_examples(path, Columns())
    assert examples.texts == [CHINESE, text]
    assert examples.decisions[0].startswith("read a.tsv as CESU-8: UTF-8 with characters")


def test_half_of_a_surrogate_pair_is_no_matter_of_encodings(tmp_path: Path) -> None:
    high, low = as_cesu8("😀")[:3], as_cesu8("😀")[3:]
    path = tmp_path / "a.conll"
    path.write_bytes("好\tO\n".encode() + high + b"\tO\n" + low + b"\tO\n" + as_cesu8("😀\tO\n"))
    with pytest.raises(UserError) as caught:
        read_conll(path)
    assert "half of a surrogate pair, written as UTF-8" in caught.value.wrong
    assert caught.value.found.endswith("a.conll, line 2, 3")
    assert "iconv" not in caught.value.fix and "GB18030" not in caught.value.fix


def test_the_whole_file_decides(tmp_path: Path) -> None:
    # Far behind what a look at the beginning would show.
    path = write(tmp_path / "a.tsv", [*PLAIN * 40_000, CHINESE], "gbk")
    assert path.stat().st_size > 2**22
    assert read_examples(path, Columns()).texts[-1] == CHINESE
    path.write_bytes(path.read_bytes() + b"\xff\ty\n")
    assert "not valid UTF-8" in refused(path).wrong


@pytest.mark.parametrize("name", ["a.json", "a.conll"])
def test_files_of_one_task_are_decided_and_told_alike(tmp_path: Path, name: str) -> None:
    question = {"id": "1", "question": CHINESE, "answers": [], "is_impossible": True}
    squad = {"data": [{"paragraphs": [{"context": CHINESE, "qas": [question]}]}]}
    tagged = "".join(f"{character}\tO\n" for character in CHINESE)
    content = json.dumps(squad, ensure_ascii=False) if name == "a.json" else tagged
    path = tmp_path / name
    path.write_bytes(content.encode("gbk"))
    examples = read_examples(path, Columns())
    assert examples.texts == [CHINESE] and [*examples.decisions] == [f"read {name} as GB18030"]
    stream = TextStream(path, Columns(), False)
    assert stream.decisions == [f"read {name} as GB18030"]


def test_lines_may_be_read_again(tmp_path: Path) -> None:
    file = DataFile(write(tmp_path / "a.tsv", [CHINESE], "gbk"), False)
    first = file.lines()
    assert next(first) == "text\tlabel\n"
    assert [*file.lines()] == [*file.lines()] and len(file.decisions) == 1
