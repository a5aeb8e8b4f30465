"""`/llms.txt`: where a language model that was pointed at a platform finds what it needs."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

TEXT = """# Bakeoff

> Models, prompts and flags compete on live traffic; a valid verdict promotes the better one. A surface
> is a place in a product that asks for an answer; an experiment compares its variants on one metric.

Keys: `Authorization: Bearer KEY`. `pk_…` serves and records; `sk_…` does what its scopes say. Every
error is `{{"error": {{"code", "message", "field"}}}}`, and the message names the value and the rule.

## Interfaces

- [OpenAPI 3.1]({root}/v1/openapi.json): every operation, of the fast lane and of management
- [API pages]({root}/docs): the same for people
- [Help]({root}/help/): tutorials, how-tos, reference and explanations
- [JSON Schema of the configuration]({root}/v1/config.schema.json): `bakeoff config export`, `apply`
- [Embed]({root}/sdk/v1.js): recommendations, events and flags in a page

## For agents

- `bakeoff mcp --url {root}` with a key in BAKEOFF_KEY: tools to list, explain, plan, start
- A verdict with its numbers: `GET /v1/experiments/KEY/report.json`
- A draft takes no traffic before it is started; start or stop nothing that a person did not name
"""


@require_safe
@cache_control(public=True, max_age=3600)
def show_llms_txt(request: HttpRequest) -> HttpResponse:
    """Answer the text; it tells nothing of a project, so no key is needed."""
    root = request.build_absolute_uri("/").rstrip("/")
    return HttpResponse(TEXT.format(root=root), content_type="text/plain; charset=utf-8")
