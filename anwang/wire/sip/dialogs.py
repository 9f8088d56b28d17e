"""The state two ends share after an INVITE or SUBSCRIBE (RFC 3261 12)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, NamedTuple, Self

from anwang.kernel.errors import WireError
from anwang.wire.sip.message import Headers, Request, Response
from anwang.wire.sip.network import P
from anwang.wire.sip.values import Address, CSeq, Uri, split_outside


class DialogNames(NamedTuple):
    """What a request in a dialog needs, so that another process can end it. cseq: of our last request."""

    call_id: str
    local: str
    remote: str
    target: str
    cseq: int


class Dialog(Generic[P]):
    """One side's view. Requests go to `peer`, its last known address, never to the Contact's (devices put private
    ones).

    local, remote: addresses with their tags; the remote tag is empty until the other side has answered. target: the
    Request-URI. routes: Route values.
    """

    __slots__ = ("call_id", "charset", "cseq", "local", "peer", "remote", "routes", "target")

    def __init__(self, call_id: str, local: Address, remote: Address, target: str, peer: P, cseq: int = 0) -> None:
        self.call_id = call_id
        self.local = local
        self.remote = remote
        self.target = target
        self.peer = peer
        self.cseq = cseq
        self.routes: tuple[str, ...] = ()
        self.charset = "utf-8"

    @classmethod
    def of_request(cls, request: Request, tag: str, peer: P) -> Self:
        """The side that was asked. Raises WireError."""
        contacts = request.contacts
        remote = request.from_
        target = str(contacts[0].uri) if contacts else str(remote.uri)
        dialog = cls(request.call_id, request.to.with_tag(tag), remote, target, peer)
        dialog.routes = tuple(request.headers.all("Record-Route"))
        dialog.charset = request.charset
        return dialog

    def answered(self, response: Response) -> None:
        """Learn what a 2xx says; without a Contact the target stays what was asked (devices leave it out)."""
        try:
            self.remote = self.remote.with_tag(response.to.tag)
        except WireError:
            return
        contacts = response.contacts
        if contacts:
            self.target = str(contacts[0].uri)
        values = [part for value in response.headers.all("Record-Route") for part in split_outside(value, ",") if part]
        self.routes = tuple(reversed(values))

    @property
    def names(self) -> DialogNames:
        """What is to be remembered of it."""
        return DialogNames(self.call_id, str(self.local), str(self.remote), self.target, self.cseq)

    @classmethod
    def of_names(cls, names: DialogNames, peer: P) -> Self:
        """A dialog that was remembered. Raises WireError."""
        return cls(
            names.call_id, Address.parse(names.local), Address.parse(names.remote), names.target, peer, names.cseq
        )

    def next_cseq(self) -> int:
        """A number for the next request of ours."""
        self.cseq += 1
        return self.cseq

    def request(
        self,
        method: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        content_type: str = "",
        body: bytes = b"",
        cseq: int | None = None,
    ) -> Request:
        """A request inside the dialog, all but its Via. cseq: of the INVITE, for its ACK."""
        number = self.next_cseq() if cseq is None else cseq
        return compose(
            method,
            self.target,
            from_=self.local,
            to=self.remote,
            call_id=self.call_id,
            cseq=number,
            headers=(*(("Route", value) for value in self.routes), *headers),
            content_type=content_type,
            body=body,
            charset=self.charset,
        )


def compose(
    method: str,
    uri: Uri | str,
    *,
    from_: Address,
    to: Address,
    call_id: str,
    cseq: int,
    headers: Iterable[tuple[str, str]] = (),
    content_type: str = "",
    body: bytes = b"",
    charset: str = "utf-8",
) -> Request:
    """A request with all but its Via, which the transaction adds."""
    fields = Headers.of(
        (
            ("From", str(from_)),
            ("To", str(to)),
            ("Call-ID", call_id),
            ("CSeq", str(CSeq(cseq, method))),
            *headers,
            ("Max-Forwards", "70"),
        )
    )
    if content_type:
        fields = fields.plus(("Content-Type", content_type))
    return Request(method=method, uri=str(uri), headers=fields, body=body, charset=charset)
