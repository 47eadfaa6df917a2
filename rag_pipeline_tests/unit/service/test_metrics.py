"""What is counted of an answer: by what became of the question, with the time of each of its layers."""

from dataclasses import replace
from decimal import Decimal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rag_pipeline.query import NOT_KNOWN, Answer, Hits, Layer
from rag_pipeline.service.metrics import Metrics

WRITTEN = Answer(
    answer="Yearly.",
    abstained=False,
    citations=(),
    cached=False,
    as_of=None,
    model="writer",
    tokens=120,
    cost_usd=Decimal("0.0003"),
    seconds=1.0,
    hits=Hits((), None, layers=[Layer("vector", 2.0, 5, 1)]),
    notes=(),
    prompt_version="1f0d",
    layers=(Layer("prompt", 1.0, 2, 3), Layer("model", 500.0, 0, 0)),
)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (WRITTEN, "written"),
        (replace(WRITTEN, cached=True, tokens=0), "cached"),
        (replace(WRITTEN, answer=NOT_KNOWN, abstained=True, model=None, tokens=0), "not_known"),
        (replace(WRITTEN, answer=NOT_KNOWN, abstained=True), "not_known"),
        (replace(WRITTEN, model=None, tokens=0), "quoted"),
        (replace(WRITTEN, answer=None), "failed"),
    ],
)
def test_an_answer_is_counted_by_what_became_of_it(answer: Answer, outcome: str) -> None:
    metrics = Metrics()
    metrics.gave(answer)
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }
    assert {key: value for key, value in samples.items() if key[0] == "rag_answers_total"} == {
        ("rag_answers_total", outcome): 1
    }
    assert samples["rag_answer_tokens_total",] == answer.tokens
    assert samples["rag_answer_usd_total",] == pytest.approx(0.0003)
    assert samples["rag_layer_seconds_sum", "model"] == pytest.approx(0.5)
    assert samples["rag_layer_kept_total", "prompt"] == 2
    assert samples["rag_layer_dropped_total", "vector"] == 1
