"""One evaluation of the live index, by the way that callers go."""

from rag_pipeline.database.connection import connect
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.evaluation.asking import answer_all, search_all
from rag_pipeline.evaluation.golden import GoldenSet
from rag_pipeline.evaluation.results import Evaluation
from rag_pipeline.evaluation.standing import findable
from rag_pipeline.index.generations import Generation, generations, in_state, use_generation
from rag_pipeline.progress import Progress, silent
from rag_pipeline.query import Index
from rag_pipeline.settings import Settings


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
