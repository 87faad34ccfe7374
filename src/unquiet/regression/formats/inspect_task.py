"""An Inspect task with its dataset: any model of Inspect, or the agent named by UNQUIET_AGENT, answers."""

from __future__ import annotations

import json
from collections.abc import Mapping

from unquiet.regression import checking, playing
from unquiet.regression.formats.embedding import case_fields, module
from unquiet.regression.suite import Suite

IMPORTS = """import asyncio
from inspect_ai import Task, task
from inspect_ai.dataset import FieldSpec, json_dataset
from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, ModelOutput
from inspect_ai.scorer import CORRECT, INCORRECT, Score, Target, accuracy, scorer, stderr
from inspect_ai.solver import Generate, TaskState, solver
from pathlib import Path"""
BODY = '''
DATASET = Path(__file__).with_name("dataset.jsonl")


@solver
def conversation():
    """Play the requests of a case one after another, to UNQUIET_AGENT where it is set, else to the model."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        requests = state.metadata["requests"]
        if os.environ.get(AGENT):
            output, calls = await asyncio.to_thread(play, requests)
            state.output = ModelOutput.from_content(str(state.model), output)
            state.metadata["calls"] = calls
            return state
        state.messages = [message for message in state.messages if message.role == "system"]
        for request in requests:
            state.messages.append(ChatMessageUser(content=request))
            asked = len(state.messages)
            state = await generate(state)
        replies = [each for each in state.messages[asked:] if isinstance(each, ChatMessageAssistant)]
        state.metadata["calls"] = [call.function for each in replies for call in each.tool_calls or []]
        return state

    return solve


@scorer(metrics=[accuracy(), stderr()])
def as_before():
    """Whether an answer does what the answers before the incident did."""

    async def score(state: TaskState, target: Target) -> Score:
        request, output = state.metadata["requests"][-1], state.output.completion
        asked = [failed(each, request, output, state.metadata["calls"], measure) for each in state.metadata["assertions"]]
        wrong = [each for each in asked if each]
        return Score(value=INCORRECT if wrong else CORRECT, answer=output, explanation="; ".join(wrong) or "as before")

    return score


@task
def regression() -> Task:
    """Requests of the incident, answered as before it."""
    fields = FieldSpec(metadata=["requests", "assertions", "recorded"])
    return Task(dataset=json_dataset(str(DATASET), fields), solver=conversation(), scorer=as_before())
'''


class InspectTask:
    """A folder, to be run with `inspect eval FOLDER/task.py --model MODEL`."""

    name = "inspect"
    suffix = ""

    def files(self, suite: Suite) -> Mapping[str, str]:
        """The dataset, one sample a line, and the task."""
        rows = [{"input": case.requests[-1], "target": "", **case_fields(case)} for case in suite.cases]
        return {
            "dataset.jsonl": "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n",
            "task.py": module(suite, (checking, playing), IMPORTS, BODY, cases=False),
        }
