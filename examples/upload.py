"""Takes uploads and keeps only whole ones: ``curl -T photo.jpg http://127.0.0.1:8000/files/photo.jpg``.

The handler decides how much it takes before it reads, so that a client that asks first (``Expect: 100-continue``) is
refused before it sends anything.  If the upload ends early, because the client left or for any other reason, the
`finally` removes what there is of it; it does not await, so it works in a cancelled handler too.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import trio

from trioframe import App, BadRequest, Request, Response, json

MAX_SIZE = 100 * 2**20

app = App("upload")
app.ctx.folder = Path(tempfile.gettempdir())


@app.put("/files/<name:[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}>", stream=True)
async def upload(request: Request, name: str) -> Response:
    request.stream.request_max_size = MAX_SIZE
    whole = app.ctx.folder / name
    partial = whole.with_name(f".{name}.{request.id}")
    size = 0
    try:
        async with await trio.open_file(partial, "xb") as file:
            async for chunk in request.stream:
                size += await file.write(chunk)
        if size == 0:
            raise BadRequest("there was nothing in it")
        partial.replace(whole)
    finally:
        partial.unlink(missing_ok=True)
    return json({"name": name, "size": size}, status=201)


if __name__ == "__main__":
    trio.run(app.serve)
