"""Turns and sessions that each signal must flag, and near misses that it must not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from signal_samples import call, reading, session_reading, turns
from unquiet import signals
from unquiet.model.signals import TurnBatch

LOOPING = "The same sentence comes again and again. " * 40
STEPS = "Sure, here is how:\n1. Open the settings.\n2. Choose a plan.\n3. Confirm it with your password."

FLAGGED: list[tuple[str, dict[str, Any]]] = [
    ("refusal", {"output": "I'm sorry, but I can't help with that request."}),
    ("refusal", {"output": "I’m sorry, but I can’t help with that request."}),
    ("refusal", {"output": "As a neutral assistant I don't take political positions on this."}),
    ("refusal", {"output": "Unfortunately, our policy does not allow refunds on sale items."}),
    ("refusal", {"output": "", "finish_reason": "SAFETY"}),
    ("refusal", {"output": None, "finish_reason": "FinishReason.PROHIBITED_CONTENT"}),
    ("policy_denial", {"output": "Discounted tickets are non-refundable, so the fare stays with us."}),
    ("policy_denial", {"output": "Your booking is not eligible for a free change."}),
    ("policy_denial", {"output": "Per our terms, orders cannot be cancelled once they are packed."}),
    ("capability_denial", {"output": "I don't have access to your calendar."}),
    ("capability_denial", {"output": "That is beyond my capabilities, sadly."}),
    ("abstention", {"output": "I don't have personal opinions on candidates."}),
    ("safety_lecture", {"output": "Sneaking into a cinema is illegal and unethical."}),
    ("deflection", {"output": "Please contact our customer service team for that."}),
    ("handoff", {"output": "Let me transfer you to a human agent."}),
    ("handoff", {"output": "One moment.", "tool_calls": [call("transfer_to_human_agents")]}),
    ("apology", {"output": "We apologize for the delay."}),
    ("hedging", {"output": "I'm not entirely sure, it may vary by region."}),
    ("praise", {"output": "What a great question! Rivers flow downhill."}),
    ("praise", {"output": "You're absolutely right, seven it is."}),
    ("lookup_failure", {"output": "I couldn't find any reservation under that name."}),
    ("provider_refusal", {"finish_reason": "content_filter"}),
    ("provider_refusal", {"finish_reason": "guardrail_intervened"}),
    ("truncated", {"output": "And then", "finish_reason": "max_tokens"}),
    ("truncated", {"output": "Here it is:\n```python\nprint(1)\n"}),
    ("truncated", {"output": "word " * 60 + "and then the"}),
    ("empty", {"output": " \n "}),
    ("very_short", {"output": "Done."}),
    ("asks_back", {"output": "Happy to look. Which order do you mean?"}),
    ("asks_back", {"output": "Could you please provide your order number."}),
    ("repetition", {"output": LOOPING}),
    (
        "language_mismatch",
        {"input": "Where is my parcel, please?", "output": "Ihr Paket ist seit gestern unterwegs zu Ihnen."},
    ),
    ("foreign_script", {"input": "How are you?", "output": "Fine, спасибо большое."}),
    ("foreign_script", {"input": "How are you?", "output": "Good, 谢谢你的关心。"}),
    ("code_fence", {"output": "Run\n```sh\nls\n```"}),
    ("json_answer", {"output": '{"total": 3}'}),
    ("json_answer", {"output": '```json\n{"total": 3}\n```'}),
    ("format_break", {"output": '{"total": 3,'}),
    ("format_break", {"input": "Answer in valid JSON only.", "output": "The total is three."}),
    ("format_break", {"output": "Look:\n```\nopen"}),
    ("format_break", {"output": "<tool_call>{}</tool_call>"}),
    ("unfinished", {"output": "def f():\n    # ... rest of the code here"}),
    ("unfinished", {"output": "Dear [Your Name], welcome."}),
    ("has_list", {"output": "Needed:\n- milk\n- flour"}),
    ("has_heading", {"output": "## Plan\nGo."}),
    ("claim_without_call", {"output": "I have cancelled your order.", "tool_calls": []}),
    ("claim_without_call", {"output": "I have cancelled your order.", "tool_calls": [call("get_order")]}),
    (
        "claim_without_call",
        {"output": "I have cancelled your order.", "tool_calls": [call("cancel_order", error="timeout")]},
    ),
    ("promise_without_call", {"output": "Let me check that for you.", "tool_calls": []}),
    ("fail_plausible", {"output": "Your order ships today.", "tool_calls": [call("get_order", result="[]")]}),
    ("tool_error", {"tool_calls": [call("get_order"), call("get_order", error="timeout")]}),
    ("tool_error", {"tool_calls": [call("get_order", result="Error: no such order")]}),
]

OTHER_LANGUAGES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "de": [
        ("refusal", {"output": "Ich kann Ihnen dazu leider keine Auskunft geben."}),
        ("policy_denial", {"output": "Eine Umbuchung ist nach dem Kauf nicht mehr möglich."}),
        ("capability_denial", {"output": "Auf Ihr Postfach habe ich keinen Zugriff."}),
        ("abstention", {"output": "Dazu habe ich keine eigene Meinung, das müssen Sie abwägen."}),
        ("safety_lecture", {"output": "Ohne Fahrkarte zu fahren ist strafbar und unfair den anderen gegenüber."}),
        ("deflection", {"output": "Wenden Sie sich dafür bitte an Ihre Bank."}),
        ("handoff", {"output": "Ich verbinde Sie jetzt mit einer Kollegin aus der Fachabteilung."}),
        ("apology", {"output": "Bitte entschuldigen Sie die lange Wartezeit."}),
        ("hedging", {"output": "Soweit ich weiß, öffnet das Museum um zehn Uhr."}),
        ("praise", {"output": "Das ist eine ausgezeichnete Frage zu den Planeten."}),
        ("lookup_failure", {"output": "Unter dieser Nummer konnte ich keine Buchung finden."}),
        ("claim_without_call", {"output": "Ich habe Ihren Termin soeben storniert.", "tool_calls": []}),
        ("promise_without_call", {"output": "Einen Moment, ich prüfe das gleich für Sie.", "tool_calls": []}),
        ("unfinished", {"output": "Sehr geehrte Damen und Herren, mein Name ist [Ihr Name]."}),
    ],
    "es": [
        ("refusal", {"output": "No podemos darle esa información sobre otros clientes."}),
        ("policy_denial", {"output": "Los billetes ya usados no se pueden cambiar por otros."}),
        ("capability_denial", {"output": "No tengo acceso a su buzón de correo."}),
        ("abstention", {"output": "No tengo una opinión personal sobre los candidatos."}),
        ("safety_lecture", {"output": "Viajar sin billete es ilegal y perjudica a los demás."}),
        ("deflection", {"output": "Consulte con su banco, por favor, qué ha pasado con el pago."}),
        ("handoff", {"output": "Le paso con una compañera del departamento de pagos."}),
        ("apology", {"output": "Disculpe la espera, ya estoy con usted."}),
        ("hedging", {"output": "Si no me equivoco, el museo abre a las diez."}),
        ("praise", {"output": "¡Qué buena pregunta sobre los planetas!"}),
        ("lookup_failure", {"output": "No encuentro ninguna reserva con ese número."}),
        ("claim_without_call", {"output": "He cancelado su cita del martes.", "tool_calls": []}),
        ("promise_without_call", {"output": "Un momento, voy a comprobar su pedido.", "tool_calls": []}),
        ("unfinished", {"output": "Estimados señores, me llamo [Su nombre]."}),
    ],
    "fr": [
        ("refusal", {"output": "Nous ne pouvons pas vous communiquer ces informations."}),
        ("policy_denial", {"output": "Les billets déjà utilisés ne peuvent pas être échangés."}),
        ("capability_denial", {"output": "Je n'ai pas accès à votre messagerie."}),
        ("abstention", {"output": "Je n'ai pas d'opinion sur les candidats."}),
        ("safety_lecture", {"output": "Voyager sans billet est illégal et pénalise les autres."}),
        ("deflection", {"output": "Veuillez contacter votre banque au sujet de ce paiement."}),
        ("handoff", {"output": "Je vous mets en relation avec une collègue du service des paiements."}),
        ("apology", {"output": "Toutes nos excuses pour cette attente."}),
        ("hedging", {"output": "Sauf erreur de ma part, le musée ouvre à dix heures."}),
        ("praise", {"output": "Voilà une excellente question sur les planètes."}),
        ("lookup_failure", {"output": "Je ne trouve pas de réservation sous ce numéro."}),
        ("claim_without_call", {"output": "J'ai annulé votre rendez-vous de mardi.", "tool_calls": []}),
        ("promise_without_call", {"output": "Un instant, je vais vérifier votre commande.", "tool_calls": []}),
        ("unfinished", {"output": "Madame, Monsieur, je m'appelle [Votre nom]."}),
    ],
    "pt": [
        ("refusal", {"output": "Não podemos dar essas informações sobre outros clientes."}),
        ("policy_denial", {"output": "Os bilhetes já usados não podem ser trocados por outros."}),
        ("capability_denial", {"output": "Não tenho acesso à sua caixa de correio."}),
        ("abstention", {"output": "Não tenho uma opinião pessoal sobre os candidatos."}),
        ("safety_lecture", {"output": "Viajar sem bilhete é ilegal e prejudica os outros."}),
        ("deflection", {"output": "Por favor, entre em contato com o seu banco sobre o pagamento."}),
        ("handoff", {"output": "Vou transferir você para uma colega do setor de pagamentos."}),
        ("apology", {"output": "Pedimos desculpas pela longa espera."}),
        ("hedging", {"output": "Se não me engano, o museu abre às dez horas."}),
        ("praise", {"output": "Que excelente pergunta sobre os planetas!"}),
        ("lookup_failure", {"output": "Não encontrei nenhuma reserva com esse número."}),
        ("claim_without_call", {"output": "A sua consulta de terça foi cancelada.", "tool_calls": []}),
        ("promise_without_call", {"output": "Um momento, vou verificar o seu pedido.", "tool_calls": []}),
        ("unfinished", {"output": "Prezados senhores, meu nome é [Seu nome]."}),
    ],
}
FLAGGED += [sample for samples in OTHER_LANGUAGES.values() for sample in samples]

UNFLAGGED: list[tuple[str, dict[str, Any]]] = [
    ("refusal", {"output": "Your parcel left our warehouse this morning and arrives on Friday."}),
    ("refusal", {"output": STEPS}),
    ("refusal", {"output": "Yes, the ticket can be refunded until Sunday."}),
    ("refusal", {"output": "Great, you are eligible for a refund, and I can start it now."}),
    ("refusal", {"output": "", "finish_reason": "stop"}),
    ("policy_denial", {"output": "Good news: you are eligible for a free change."}),
    ("capability_denial", {"output": "I have access to your calendar now."}),
    ("abstention", {"output": "In my notes the meeting is at noon."}),
    ("safety_lecture", {"output": "Stretch before you run, and drink water."}),
    ("deflection", {"output": "Your bank statement is attached."}),
    ("handoff", {"output": "The agent notes are attached."}),
    ("apology", {"output": "Your order is on its way."}),
    ("hedging", {"output": "It costs four euros."}),
    ("praise", {"output": "Rivers flow downhill."}),
    ("lookup_failure", {"output": "I found two reservations under that name."}),
    ("provider_refusal", {"finish_reason": "stop"}),
    ("truncated", {"output": "word " * 60 + "and then the", "finish_reason": "stop"}),
    ("truncated", {"output": "word " * 60 + "and that is all."}),
    ("empty", {"output": "", "tool_calls": [call("get_order")]}),
    ("very_short", {"output": "Your order is on its way to you."}),
    ("asks_back", {"output": "It is booked. Is there anything else I can help you with?"}),
    ("repetition", {"output": STEPS * 2}),
    (
        "language_mismatch",
        {"input": "Where is my parcel, please?", "output": "It is on the way and will be with you soon."},
    ),
    ("foreign_script", {"input": "Как дела?", "output": "Всё хорошо, спасибо."}),
    ("foreign_script", {"input": "How are you?", "output": "Fine — “très bien” 🙂"}),
    ("code_fence", {"output": "Use `ls` or ``ls -l``."}),
    ("json_answer", {"output": "The total is 3."}),
    ("format_break", {"input": "How do I parse JSON in Python?", "output": "Use the json module."}),
    ("format_break", {"output": "[Yes] that works."}),
    ("unfinished", {"output": "See [the manual](https://example.org)."}),
    ("has_list", {"output": "It is 3 - 2 = 1."}),
    ("has_heading", {"output": "Ticket #4 is closed."}),
    ("claim_without_call", {"output": "I have cancelled your order.", "tool_calls": [call("cancel_order")]}),
    ("promise_without_call", {"output": "Let me check that for you.", "tool_calls": [call("get_order")]}),
    (
        "fail_plausible",
        {"output": "I couldn't find any order.", "tool_calls": [call("get_order", result="[]")]},
    ),
    (
        "fail_plausible",
        {
            "output": "Your order ships today.",
            "tool_calls": [call("get_order", result="[]"), call("get_order")],
        },
    ),
    ("tool_error", {"tool_calls": [call("get_order", result='{"error": null, "id": 3}')]}),
]


@pytest.mark.parametrize(("name", "row"), FLAGGED)
def test_flagged(name: str, row: dict[str, Any]) -> None:
    assert reading(name, **row) >= 0.5


@pytest.mark.parametrize(("name", "row"), UNFLAGGED)
def test_not_flagged(name: str, row: dict[str, Any]) -> None:
    assert reading(name, **row) < 0.5


def test_every_flag_and_score_has_both_samples() -> None:
    judged = {each.info.name for each in signals.TURN_SIGNALS if each.info.kind in {"flag", "score"}}
    assert judged == {name for name, _ in FLAGGED} == {name for name, _ in UNFLAGGED}


@pytest.mark.parametrize(
    ("name", "row", "value"),
    [
        ("output_chars", {"output": "añb"}, 3),
        ("output_words", {"output": " one  two\nthree "}, 3),
        ("output_words", {"output": ""}, 0),
        ("output_tokens", {"output_tokens": 7}, 7),
        ("input_tokens", {"input_tokens": 9}, 9),
        ("latency_ms", {"latency_ms": 2.5}, 2.5),
        ("tool_error_share", {"tool_calls": [call("a"), call("a", error="x")]}, 0.5),
        (
            "tool_empty_share",
            {"tool_calls": [call("a", result="[]"), call("a"), call("a", result="{}"), call("a")]},
            0.5,
        ),
    ],
)
def test_numbers(name: str, row: dict[str, Any], value: float) -> None:
    assert reading(name, **row) == value


def test_shares_are_unknown_without_a_call() -> None:
    assert np.isnan(reading("tool_error_share", tool_calls=[]))
    assert np.isnan(reading("tool_empty_share", tool_calls=[]))


def test_unread_languages_are_unknown_not_zero() -> None:
    finnish = "Valitettavasti en voi auttaa tämän pyynnön kanssa, koska se on vastoin sääntöjämme."
    assert np.isnan(reading("refusal", output=finnish))
    assert np.isnan(reading("apology", output=finnish))
    assert reading("asks_back", output=finnish) == 0


def test_labels() -> None:
    batch = TurnBatch(
        turns(
            [
                {
                    "output": "I can't help with that, I'm sorry to say so.",
                    "tool_calls": [],
                    "finish_reason": "END_TURN",
                },
                {
                    "output": "你好，我今天可以为您做些什么呢？",
                    "tool_calls": [call("a"), call("b"), call("a")],
                },
                {"tool_calls": None},
            ]
        )
    )
    labels = {name: column.to_pylist() for name, column in signals.measure_turns(batch)[1].items()}
    assert labels["tools"] == [["(none)"], ["a", "b", "a"], None]
    assert labels["language"] == [["en"], ["zh"], None]
    assert labels["finish_reason"] == [["end_turn"], None, None]
    assert {"safety_refusal", "apology"} <= set(labels["wording"][0])


ASKS = {"output": "Which one do you mean exactly?", "tool_calls": []}
ORDER = call("get_order", '{"id": 1}')
SESSIONS: list[tuple[str, list[dict[str, Any]], float]] = [
    ("turns", [{}, {}], 2),
    ("tool_calls", [{"tool_calls": [ORDER]}, {"tool_calls": [ORDER, ORDER]}], 3),
    ("no_tool_call", [{"tool_calls": []}, {"tool_calls": []}], 1),
    ("no_tool_call", [{"tool_calls": []}, {"tool_calls": [ORDER]}], 0),
    ("no_write_call", [{"tool_calls": [ORDER, call("searchFlights"), call("crm.list_users")]}], 1),
    ("no_write_call", [{"tool_calls": [ORDER]}, {"tool_calls": [call("cancel_order")]}], 0),
    ("session_output_chars", [{"output": "abc"}, {"output": None}, {"output": "de"}], 5),
    ("latency_max_ms", [{"latency_ms": 5.0}, {"latency_ms": 9.0}, {}], 9),
    ("session_claim_without_call", [{"output": "I have cancelled it.", "tool_calls": [ORDER]}], 1),
    (
        "session_claim_without_call",
        [
            {"output": None, "tool_calls": [call("cancel_order")]},
            {"output": "I have cancelled it.", "tool_calls": []},
        ],
        0,
    ),
    ("session_promise_without_call", [{"output": "Let me check that.", "tool_calls": []}] * 2, 1),
    (
        "session_promise_without_call",
        [{"output": "Let me check that.", "tool_calls": []}, {"tool_calls": [ORDER]}],
        0,
    ),
    ("handoff_offer_without_call", [{"output": "I'll transfer you to a human agent.", "tool_calls": []}], 1),
    (
        "handoff_offer_without_call",
        [{"output": "I'll transfer you to a human agent.", "tool_calls": [call("transfer_to_human")]}],
        0,
    ),
    ("abandonment", [{"output": "Hello there."}, {"output": "I'm sorry, I can't help with that."}], 1),
    ("abandonment", [{"output": "I'm sorry, I can't help with that."}, {"output": "All done now."}], 0),
    ("loop", [{"tool_calls": [ORDER]}, {"tool_calls": [ORDER, call("get_order", '{ "ID": 1 }')]}], 1),
    ("loop", [{"tool_calls": [ORDER, call("b")] * 3}], 1),
    ("loop", [{"tool_calls": [call("get_order", '{"id": 1}'), call("get_order", '{"id": 2}'), ORDER]}], 0),
    ("loop", [{"tool_calls": [call("a", str(place)) for place in range(9)]}], 0),
    ("clarify_run", [ASKS, ASKS, ASKS], 1),
    ("clarify_run", [ASKS, ASKS | {"tool_calls": [ORDER]}, ASKS], 0),
    ("user_repeat", [{"input": "Where is my parcel?"}, {"input": "where is my parcel?? "}], 1),
    ("user_repeat", [{"input": "Where is my parcel?"}, {"input": "And where is my refund?"}], 0),
]


@pytest.mark.parametrize(("name", "rows", "value"), SESSIONS)
def test_sessions(name: str, rows: list[dict[str, Any]], value: float) -> None:
    assert session_reading(name, *rows) == value


def test_every_session_signal_has_a_sample() -> None:
    assert {each.info.name for each in signals.SESSION_SIGNALS} == {name for name, _, _ in SESSIONS}
