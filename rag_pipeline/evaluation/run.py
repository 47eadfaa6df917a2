"""One evaluation of the index, by the way that callers go."""

from rag_pipeline.database.connection import connect
from rag_pipeline.embeddings.kept import open_kept
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.evaluation.asking import answer_all, search_all
from rag_pipeline.evaluation.candidate import QuestionVectors, candidate, trial
from rag_pipeline.evaluation.golden import GoldenSet
from rag_pipeline.evaluation.results import Evaluation
from rag_pipeline.evaluation.standing import findable
from rag_pipeline.index.generations import Generation, generations, in_state, use_generation
from rag_pipeline.progress import Progress, silent
from rag_pipeline.query import Index
from rag_pipeline.settings import Settings


def evaluate_unpublished(
    settings: Settings, golden: GoldenSet, number: int, progress: Progress = silent
) -> tuple[Evaluation, Generation]:
    """Search in a generation that is being built, as if it were live, and score what is found; nothing is answered.

    Raises `ConfigurationError` for one that is not built, or that this software has no search for.
    """
    with connect(settings) as connection:
        found = generations(connection)
        live, building = in_state(found, "live"), in_state(found, "building")
        if live is None or building is None or building.number != number or not building.readable:
            there = "no other" if building is None else f"only generation {building.number}"
            raise ConfigurationError(f"generation {number} cannot be measured: {there} is being built")
        embedder = open_kept(settings.embedding, building.recipe.embedding, building.recipe.model)
        vectors = QuestionVectors(embedder, golden.questions)
        use_generation(connection, number)
        with connection.transaction(), trial(connection, live.number, number) as queries:
            questions, gone = findable(connection, number, golden.questions)
            index = candidate(connection, settings, vectors, queries)
            results = search_all(index, questions, gone, progress)
    return Evaluation(tuple(results), building.recipe.model), building


def evaluate(
    settings: Settings, golden: GoldenSet, answers: bool = True, judge: bool = False, progress: Progress = silent
) -> tuple[Evaluation, Generation]:
    """Ask the live index a golden set and score what comes; without `answers` only what a search finds.

    With `judge` the model of the settings, if there is one, judges answers as well. Returns also the generation that
    was live when it began. Raises as `Index.answer` does.
    """
    with connect(settings) as connection:
        live = in_state(generations(connection), "live")
        if live is None:
            raise ConfigurationError("nothing is indexed yet; fill the index with: rag-pipeline refresh")
        use_generation(connection, live.number)
        questions, gone = findable(connection, live.number, golden.questions)
    with Index.connect(settings, log=False, cache=False) as index:
        if not answers:
            return Evaluation(tuple(search_all(index, questions, gone, progress)), live.recipe.model), live
        results, given = answer_all(index, questions, gone, progress)
    written_by = next((answer.model for answer in given if answer.model), None)
    prompt = next((answer.prompt_version for answer in given if answer.prompt_version), None)
    if judge and settings.answers.model is not None:
        from rag_pipeline.evaluation.judge import Judge

        asked = {question.id: question for question in questions}
        results = Judge(settings, settings.answers.model).judged(results, asked, progress)
    return Evaluation(tuple(results), live.recipe.model, written_by, prompt), live
