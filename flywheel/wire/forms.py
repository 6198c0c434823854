"""Forms that all models of the API share: frozen requests and responses, names and tags as they are checked."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

LANGUAGE = re.compile(r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")
Language = Annotated[str, Field(pattern=LANGUAGE.pattern, max_length=35, description="BCP-47 tag, e.g. bo")]
CorpusName = Annotated[
    str, Field(pattern=r"^[\w][\w .+-]*$", max_length=200, description="letters, digits, space and . + - _")
]
Note = Annotated[str, Field(max_length=4000)]


class Response(BaseModel):
    """Model that the server sends."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Request(BaseModel):
    """Model that the client sends."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
