"""What the oracle says: a model that makes no mistake, in each of the three wirings.

Direct tool calling: it calls at once whatever does not depend on another result, which is the best case: four turns.
CodeAct: one short program, the same in both projects but for how each of them calls a tool and gives its answer back.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Message: TypeAlias = dict[str, Any]

OURS = {
    # Everything looked up where it is needed.
    "naive": """\
rows = []
for user in list_users():
    discount = get_discount_rate(user['tier'])
    tax = get_tax_rate(user['region'])
    total = 0
    for order in get_orders_for_user(user['id']):
        total += compute_line_total(order['qty'], order['unit_price'], discount, tax)
    rows.append({'user_id': user['id'], 'name': user['name'], 'grand_total': round(total, 2)})
rows.sort(key=lambda row: row['grand_total'], reverse=True)
rows
""",
    # Each rate looked up once.
    "rates once": """\
users = list_users()
discounts = {tier: get_discount_rate(tier) for tier in {user['tier'] for user in users}}
taxes = {region: get_tax_rate(region) for region in {user['region'] for user in users}}
rows = []
for user in users:
    total = 0
    for order in get_orders_for_user(user['id']):
        total += compute_line_total(order['qty'], order['unit_price'], discounts[user['tier']], taxes[user['region']])
    rows.append({'user_id': user['id'], 'name': user['name'], 'grand_total': round(total, 2)})
rows.sort(key=lambda row: row['grand_total'], reverse=True)
rows
""",
}
REFERENCE = {  # in the quotes that need no escapes inside JSON
    "naive": """\
rows = []
for user in call_tool('list_users'):
    discount = call_tool('get_discount_rate', tier=user['tier'])
    tax = call_tool('get_tax_rate', region=user['region'])
    total = 0
    for order in call_tool('get_orders_for_user', user_id=user['id']):
        total += call_tool('compute_line_total', qty=order['qty'], unit_price=order['unit_price'], discount_rate=discount, tax_rate=tax)
    rows.append({'user_id': user['id'], 'name': user['name'], 'grand_total': round(total, 2)})
rows.sort(key=lambda row: row['grand_total'], reverse=True)
print(rows)
""",
    "rates once": """\
users = call_tool('list_users')
discounts = {tier: call_tool('get_discount_rate', tier=tier) for tier in {user['tier'] for user in users}}
taxes = {region: call_tool('get_tax_rate', region=region) for region in {user['region'] for user in users}}
rows = []
for user in users:
    total = 0
    for order in call_tool('get_orders_for_user', user_id=user['id']):
        total += call_tool('compute_line_total', qty=order['qty'], unit_price=order['unit_price'], discount_rate=discounts[user['tier']], tax_rate=taxes[user['region']])
    rows.append({'user_id': user['id'], 'name': user['name'], 'grand_total': round(total, 2)})
rows.sort(key=lambda row: row['grand_total'], reverse=True)
print(rows)
""",
}


def reply(request: Mapping[str, Any], style: str) -> Message:
    """The assistant's next message."""
    names = {tool["function"]["name"] for tool in request.get("tools") or ()}
    if "describe_tools" in names:  # our MCP server
        return _by_our_server(request["messages"], style)
    if "execute_code" in names:
        return _by_their_program(request["messages"], style)
    if "list_users" in names:
        return _by_calls(request["messages"])
    return {"role": "assistant", "content": f"```python\n{OURS[style]}```"}


def _by_their_program(messages: Sequence[Message], style: str) -> Message:
    outputs = [_text(message) for message in messages if message["role"] == "tool"]
    if not outputs:
        return _calling([("execute_code", {"code": REFERENCE[style]})], 0)
    return _answering(ast.literal_eval(outputs[-1].strip()))


def _by_our_server(messages: Sequence[Message], style: str) -> Message:
    answers = [_text(message) for message in messages if message["role"] == "tool"]
    if not answers:
        return _calling([("execute_code", {"code": OURS[style]})], 0)
    answer = json.loads(answers[-1])
    return _answering(answer["value"] if isinstance(answer, dict) else answer)


def _by_calls(messages: Sequence[Message]) -> Message:
    results: dict[tuple[str, str], Any] = {}
    asked: dict[str, tuple[str, str]] = {}
    for message in messages:
        for call in message.get("tool_calls") or ():
            asked[call["id"]] = call["function"]["name"], call["function"]["arguments"]
        if message["role"] == "tool":
            results[asked[message["tool_call_id"]]] = json.loads(_text(message))

    def known(name: str, **arguments: Any) -> Any:
        return results.get((name, _compact(arguments)))

    users = known("list_users")
    if users is None:
        return _calling([("list_users", {})], len(asked))
    if known("get_orders_for_user", user_id=users[0]["id"]) is None:
        return _calling(
            [("get_orders_for_user", {"user_id": user["id"]}) for user in users]
            + [("get_discount_rate", {"tier": tier}) for tier in dict.fromkeys(user["tier"] for user in users)]
            + [("get_tax_rate", {"region": region}) for region in dict.fromkeys(user["region"] for user in users)],
            len(asked),
        )
    lines = {
        user["id"]: [
            {
                "qty": order["qty"],
                "unit_price": order["unit_price"],
                "discount_rate": known("get_discount_rate", tier=user["tier"]),
                "tax_rate": known("get_tax_rate", region=user["region"]),
            }
            for order in known("get_orders_for_user", user_id=user["id"])
        ]
        for user in users
    }
    if known("compute_line_total", **next(iter(lines.values()))[0]) is None:
        return _calling([("compute_line_total", line) for some in lines.values() for line in some], len(asked))
    rows = [
        {
            "user_id": user["id"],
            "name": user["name"],
            "grand_total": round(sum(known("compute_line_total", **line) for line in lines[user["id"]]), 2),
        }
        for user in users
    ]
    return _answering(sorted(rows, key=lambda row: row["grand_total"], reverse=True))


def _calling(calls: Sequence[tuple[str, Mapping[str, Any]]], before: int) -> Message:
    made = [
        {"id": f"call_{before + place}", "type": "function", "function": {"name": name, "arguments": _compact(values)}}
        for place, (name, values) in enumerate(calls, 1)
    ]
    return {"role": "assistant", "content": None, "tool_calls": made}


def _answering(rows: Sequence[Mapping[str, Any]]) -> Message:
    return {"role": "assistant", "content": _compact({"results": rows})}


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _text(message: Message) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
