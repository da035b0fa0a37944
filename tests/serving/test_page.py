"""The page docs: it works behind any prefix, and asks nobody else."""

import re
from pathlib import Path
from urllib.parse import urljoin

from tests.serving import folders
from tests.serving.client import serve


def test_all_that_the_page_refers_to_is_there_behind_a_prefix(tmp_path: Path) -> None:
    folder = folders.sklearn(tmp_path / "m", folders.Sum(), folders.columns("double", "long", optional=[0]))
    with serve(folder) as client:
        answer = client.get("/docs")
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert not re.search(r"(?:https?:)?//[a-z]", answer.text), "nothing is fetched from elsewhere"
        links = re.findall(r'(?:href|src|action)="([^"]*)"', answer.text)
        assert len(links) >= 4
        for link in links:
            behind = urljoin("http://gateway/churn/docs", link)
            assert behind.startswith("http://gateway/churn/"), link
            assert client.get(behind.removeprefix("http://gateway/churn")).status_code == 200, link
        assert 'fetch("predict"' in answer.text


def test_the_server_leads_to_it(summing: Path) -> None:
    with serve(summing) as client:
        answer = client.get("/")
        assert (answer.status_code, answer.headers["location"]) == (307, "docs")


def test_it_shows_the_columns_and_a_request_that_is_answered(tmp_path: Path) -> None:
    folder = folders.sklearn(tmp_path / "m", folders.Sum(), folders.columns("double", "double"))
    with serve(folder) as client:
        text = client.get("/docs").text
        assert "<td>a</td><td>double</td>" in text
        shown = re.search(r"<textarea[^>]*>(.*?)</textarea>", text, re.DOTALL)
        assert shown is not None
        body = shown[1].replace("&quot;", '"')
        assert client.post("/predict", content=body.encode()).status_code == 200


def test_names_are_text_and_not_markup(tmp_path: Path) -> None:
    columns = [{"type": "double", "name": "<script>alert(1)</script>"}]
    with serve(folders.sklearn(tmp_path / "m", folders.Sum(), columns)) as client:
        assert "<script>alert" not in client.get("/docs").text


def test_before_the_model_is_loaded_the_page_says_so(summing: Path) -> None:
    with serve(summing, load=False) as client:
        assert "still loading" in client.get("/docs").text
