"""The road to Microsoft Graph: one request, its retries, its errors.

Requests are built and authenticated by msgraph-sdk; answers come back as they are and are decoded by us, because the
first typed answer of the SDK imports more than a thousand modules. The SDK's own retries are off: they repeat POSTs on
503 and 504 and may sleep for minutes. One policy of ours decides: what is idempotent is repeated within 20 seconds, a
POST that creates is never repeated here but recovered by its story. Nothing is sent again before the time that a
`Retry-After` named for it, whoever asks: calls that are refused count as well (graph-contract 5).
"""

import asyncio
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError
from kiota_abstractions.method import Method
from kiota_abstractions.native_response_handler import NativeResponseHandler
from kiota_abstractions.request_information import RequestInformation
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from kiota_http.middleware.options import RedirectHandlerOption, ResponseHandlerOption, RetryHandlerOption
from msgraph.graph_request_adapter import GraphRequestAdapter, options
from msgraph.graph_service_client import GraphServiceClient
from msgraph_core import GraphClientFactory

from clients.graph.refusals import Fault, is_transient, refusal
from sso.errors import GatehouseError, NotReady, TenantError, pause_in

JSON = dict[str, Any]
PATIENCE = 20.0  # seconds that one call may spend on repeating itself
BATCH_LIMIT = 20  # requests in one $batch (learn.microsoft.com/graph/json-batching)
GATHERING = 4  # turns of the event loop in which coroutines that were started together come to their question
CALL_TIMEOUT = 60.0  # seconds for one answer; instantiate alone may take ten


@dataclass(frozen=True)
class Answer:
    """What Graph said to one request."""

    status: int
    body: JSON
    retry_after: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the request was carried out."""
        return self.status < 300  # redirects are not followed, so one is a refusal

    @property
    def fault(self) -> Fault:
        """The error of a failed answer; `code` may be empty and both spellings of its parts occur."""
        error = self.body.get("error") or {}
        return Fault(self.status, str(error.get("code") or ""), str(error.get("message") or ""), self.retry_after)


class GraphWire:
    """Sends requests to one Graph endpoint; opened once per process and event loop."""

    def __init__(self, url: str, credential: AsyncTokenCredential, wait_scale: float) -> None:
        """Open the road; nothing is sent yet."""
        provider = AzureIdentityAuthenticationProvider(
            credential, scopes=[f"{url}/.default"], allowed_hosts=[httpx.URL(url).host]
        )
        ours = {
            RetryHandlerOption.get_key(): RetryHandlerOption(should_retry=False),
            # Graph's own calls never redirect; whoever does would be handed our addresses, which name people.
            RedirectHandlerOption.get_key(): RedirectHandlerOption(should_redirect=False),
        }
        self._http = GraphClientFactory.create_with_default_middleware(
            client=httpx.AsyncClient(timeout=CALL_TIMEOUT, http2=True), options={**options, **ours}
        )
        adapter = GraphRequestAdapter(provider, client=self._http)
        adapter.base_url = f"{url}/v1.0"
        self._url = url
        self._adapter = adapter
        self.wait_scale = wait_scale
        self._asked: list[tuple[RequestInformation, asyncio.Future[Answer]]] = []  # for the next shared batch
        self._shared: set[asyncio.Task[None]] = set()
        self._permitted: dict[
            str, float
        ] = {}  # when a request that was throttled may be sent again, by the loop's time
        self.builders = GraphServiceClient(request_adapter=adapter)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(
        self, operation: str, info: RequestInformation, *, repeat: bool, missing_is_none: bool = False
    ) -> JSON | None:
        """Send one request and return its body; raises what `refusal` makes of a failure.

        `repeat` says that it is idempotent and may be sent again, `missing_is_none` that 404 is an answer.
        """
        loop = asyncio.get_running_loop()
        give_up = loop.time() + PATIENCE * self.wait_scale
        pause = 1.0
        while True:
            answer = await self.answer(info)
            if answer.ok:
                return answer.body
            if answer.status == httpx.codes.NOT_FOUND and missing_is_none:
                return None
            wait = (answer.retry_after or pause) * self.wait_scale
            if not repeat or not is_transient(answer.fault) or loop.time() + wait > give_up:
                raise refusal(operation, answer.fault)
            await asyncio.sleep(wait)
            pause = min(2 * pause, 8.0)

    async def read_together(self, operation: str, infos: Sequence[RequestInformation]) -> list[JSON | None]:
        """Send GETs as one `$batch` (more than 20 as several) and return their bodies, None for 404.

        Whoever asks at the same moment, in another coroutine that was started together, shares the batch.
        """
        bodies: list[JSON | None] = []
        for answer in await self.answers_together(infos):
            if not answer.ok and answer.status != httpx.codes.NOT_FOUND:
                raise refusal(operation, answer.fault)
            bodies.append(answer.body if answer.ok else None)
        return bodies

    async def answers_together(self, infos: Sequence[RequestInformation]) -> list[Answer]:
        """The same with whatever Graph answers to each in the end; what may pass is asked for again for a while."""
        answers: dict[int, Answer] = {}
        left, pause = list(range(len(infos))), 1.0
        loop = asyncio.get_running_loop()
        give_up = loop.time() + PATIENCE * self.wait_scale
        while True:
            answered = await asyncio.gather(*(self._ask(infos[number]) for number in left))
            answers |= dict(zip(left, answered, strict=True))
            left = [number for number in left if not answers[number].ok and is_transient(answers[number].fault)]
            wait = max((answers[number].retry_after or pause for number in left), default=0.0) * self.wait_scale
            if not left or loop.time() + wait > give_up:
                return [answers[number] for number in range(len(infos))]
            await asyncio.sleep(wait)
            pause = min(2 * pause, 8.0)

    def _ask(self, info: RequestInformation) -> asyncio.Future[Answer]:
        """Put a GET into the batch that leaves next."""
        if not self._asked:
            task = asyncio.get_running_loop().create_task(self._send_asked())
            self._shared.add(task)
            task.add_done_callback(self._shared.discard)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked.append((info, answer))
        return answer

    async def _send_asked(self) -> None:
        """Send what was asked for in the same moment, as few batches as hold it."""
        for _ in range(GATHERING):
            await asyncio.sleep(0)
        asked, self._asked = self._asked, []
        for start in range(0, len(asked), BATCH_LIMIT):
            some = asked[start : start + BATCH_LIMIT]
            try:
                answers = await self.batch([info for info, _ in some])
            except Exception as error:  # noqa: BLE001  # whoever asked raises it
                for _, future in some:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (_, future), answer in zip(some, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)

    async def batch(self, infos: Sequence[RequestInformation], *, chained: bool = False) -> list[Answer]:
        """Send up to 20 requests as one `$batch`, once; their answers in the order of the requests.

        Failures are answers, not exceptions: each request is throttled and refused on its own, one that may not be sent
        yet is answered without being sent, and where the batch as a whole fails all of its requests have. Where they
        are `chained`, each is carried out after the one before it, and not at all where that failed (424).
        """
        items = [self._item(str(number), info) for number, info in enumerate(infos)]
        names = {item["id"]: _named(item) for item in items}
        answers = {number: early for number, name in names.items() if (early := self._too_early(name))}
        if chained and answers:
            answers = dict.fromkeys(names, next(iter(answers.values())))
        for before, item in zip(items, items[1:] if chained else (), strict=False):
            item["dependsOn"] = [before["id"]]
        requests = [item for item in items if item["id"] not in answers]
        if requests:
            info = self.request(Method.POST, "{+baseurl}/$batch", {}, {"requests": requests})
            whole = await self.answer(info)
            if whole.status == httpx.codes.NOT_FOUND:
                raise refusal("batch", whole.fault)  # nothing was looked for, so nothing is known to be absent
            if not whole.ok:
                answers |= {item["id"]: whole for item in requests}
            for answered in whole.body.get("responses", ()) if whole.ok else ():
                answer = Answer(
                    answered["status"], answered.get("body") or {}, _retry_after(answered.get("headers") or {})
                )
                answers[answered["id"]] = answer
                self._note(names[answered["id"]], answer)
        if set(answers) != set(names):
            msg = f"Graph answered {len(answers)} of {len(names)} requests of a batch; the rest is unknown."
            raise NotReady(msg, retry_after=5)
        return [answers[item["id"]] for item in items]

    def request(
        self, method: Method, template: str, parameters: dict[str, Any], body: JSON | None = None, **headers: str
    ) -> RequestInformation:
        """Make a request with a body of ours from the URL template and path parameters of an SDK builder."""
        # The builders' templates carry their query options; a write has none.
        info = RequestInformation(method, template.split("{?", maxsplit=1)[0], dict(parameters))
        for name, value in headers.items():
            info.headers.try_add(name.replace("_", "-"), value)
        if body is not None:
            info.set_stream_content(json.dumps(body).encode(), "application/json")
        return info

    def beta(self, info: RequestInformation) -> RequestInformation:
        """The same request at the beta endpoint."""
        info.url_template = (info.url_template or "").replace("{+baseurl}", self._url + "/beta")
        return info

    def _item(self, number: str, info: RequestInformation) -> JSON:
        info.path_parameters["baseurl"] = self._adapter.base_url
        method = info.http_method.value if info.http_method else "GET"
        item: JSON = {"id": number, "method": method, "url": info.url.removeprefix(str(self._adapter.base_url))}
        if info.content is not None:
            item |= {"headers": {"Content-Type": "application/json"}, "body": json.loads(info.content)}
        return item

    async def answer(self, info: RequestInformation) -> Answer:
        """Send one request once and return whatever Graph answers; no answer at all is a gateway time-out.

        One that may not be sent yet is answered without being sent.
        """
        name = self._name_of(info)
        if early := self._too_early(name):
            return early
        info.headers.remove("client-request-id")
        info.headers.try_add("client-request-id", str(uuid.uuid4()))
        handler = ResponseHandlerOption(NativeResponseHandler())
        info.request_options[ResponseHandlerOption.get_key()] = handler
        try:
            response: Any = await self._adapter.send_primitive_async(info, "bytes", None)
        except AzureError as error:
            raise no_token(error) from None
        except httpx.TransportError as error:
            # Nothing of the request but its kind of failure: the URL may name people.
            return Answer(
                httpx.codes.GATEWAY_TIMEOUT, {"error": {"code": type(error).__name__, "message": "no answer"}}
            )
        answer = Answer(response.status_code, _json(response), _retry_after(response.headers))
        self._note(name, answer)
        return answer

    def _name_of(self, info: RequestInformation) -> str:
        """What a request is, so that the same one is known again; a batch is what it holds."""
        info.path_parameters["baseurl"] = self._adapter.base_url
        info.url = info.url  # else the SDK expands its template, letter by letter, each time that it looks
        method = info.http_method.value if info.http_method else "GET"
        batched: list[JSON] = []
        if info.content is not None and info.url.endswith("/$batch"):
            batched = json.loads(info.content)["requests"]
        return " ".join([method, info.url, *(_named(item) for item in batched)])

    def _note(self, name: str, answer: Answer) -> None:
        """Remember when a request that was refused for now may come again."""
        now = asyncio.get_running_loop().time()
        if answer.retry_after is not None and not answer.ok:
            self._permitted = {known: then for known, then in self._permitted.items() if then > now}
            self._permitted[name] = now + answer.retry_after * self.wait_scale

    def _too_early(self, name: str) -> Answer | None:
        """The answer to a request that may not be sent yet; None for one that may."""
        rest = self._permitted.get(name, 0.0) - asyncio.get_running_loop().time()
        if rest <= 0:
            return None
        error = {"code": "TooManyRequests", "message": "not sent yet"}
        return Answer(httpx.codes.TOO_MANY_REQUESTS, {"error": error}, rest / self.wait_scale)


def _named(item: JSON) -> str:
    """What one request of a batch is: two that give different people a role are not the same."""
    return f"{item['method']} {item['url']} {json.dumps(item['body']) if 'body' in item else ''}"


def no_token(error: AzureError) -> GatehouseError:
    """What it means that our own identity got no token; the SDK's text is not repeated."""
    if isinstance(error, ClientAuthenticationError):
        return TenantError(
            "Gatehouse's own identity got no token. Give the app a managed identity, and set AZURE_TOKEN_CREDENTIALS"
            " to ManagedIdentityCredential (with AZURE_CLIENT_ID for a user-assigned one)."
        )
    return NotReady(f"The identity endpoint did not answer ({type(error).__name__}).", retry_after=10)


def _json(response: httpx.Response) -> JSON:
    if not response.content:
        return {}
    try:
        body = response.json()
    except ValueError:
        if response.is_success:
            msg = f"Graph answered {response.status_code} with something other than JSON; look at the service's health."
            raise TenantError(msg) from None
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after(headers: Any) -> float | None:  # a mapping of httpx or of JSON
    value = next((headers[name] for name in headers if name.lower() == "retry-after"), None)
    return pause_in(None if value is None else str(value), datetime.now(UTC))
