"""Chats as tokens: a template, and a mask so that only the assistant is learnt from.

Who speaks is said by a token of its own, which no text can hold: text becomes the
tokenizer's ids, and the special tokens are the four ids after those.

Axis letters: b batch, t position.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from gptcourse.finetuning.sft import Responses, Tokens
from gptcourse.tokenizers.base import Encoder
from gptcourse.training.batches import pad

ROLES = ("system", "user", "assistant")
#: How the special tokens are written where a chat is shown, in the order of their ids.
MARKS = (*(f"<|{role}|>" for role in ROLES), "<|end|>")


class Message(NamedTuple):
    """What one role says; the roles are "system", "user" and "assistant"."""

    role: str
    content: str


@dataclass(frozen=True)
class ChatTemplate:
    """Turns chats into tokens: each message is its role, its content and an end.

    A chat may begin with a system message, which says who the assistant is; then user
    and assistant take turns, the user first. The model has the vocabulary `n_vocab`:
    the tokenizer's, then a token for each role, then `end`.

    Every method raises ValueError for a chat without messages, an unknown role, a
    message that has no content or is out of turn, a second system message, and for
    content that holds one of `MARKS` or gets an id beyond the tokenizer's: nobody can
    speak in another's name.

    Source: ChatML (OpenAI, March 2023), whose role is a word between special tokens.

    >>> from gptcourse.tokenizers.characters import ByteTokenizer
    >>> template = ChatTemplate(ByteTokenizer())
    >>> template.prompt([Message("user", "Hi")])
    [257, 72, 105, 259, 258]
    >>> template.n_vocab, template.end
    (260, 259)
    """

    tokenizer: Encoder

    @property
    def n_vocab(self) -> int:
        """The size of the vocabulary, special tokens included."""
        return self.tokenizer.n_vocab + len(MARKS)

    @property
    def end(self) -> int:
        """The token that ends a message: where an assistant's answer stops."""
        return self.n_vocab - 1

    def text(self, chat: Sequence[Message]) -> str:
        """Return the chat as a reader sees it, special tokens written as `MARKS`."""
        check_chat(chat)
        return "".join(f"<|{role}|>{content}<|end|>" for role, content in chat)

    def prompt(self, chat: Sequence[Message]) -> Tokens:
        """Return what an assistant reads before it answers the last message.

        The last token is the assistant's role. Raises: ValueError also for a chat that
        does not end with a user.
        """
        check_chat(chat)
        last, _ = chat[-1]
        if last != "user":
            raise ValueError(
                f"the last message is the {last}'s; there is nothing to answer until a "
                "user speaks"
            )
        read = [token for message in chat for token in self._message(*message)]
        return [*read, self._role("assistant")]

    def row(self, chat: Sequence[Message]) -> tuple[Tokens, list[bool]]:
        """Return a chat's tokens, and for each whether the assistant wrote it.

        That is the content of its messages and their ends, for it must learn to stop;
        its role is given to it. Raises: ValueError also for a chat without an answer.
        """
        check_chat(chat)
        tokens, written = [], []
        for role, content in chat:
            new = self._message(role, content)
            tokens += new
            written += [False] + [role == "assistant"] * (len(new) - 1)
        if not any(written):
            raise ValueError(
                "no message is the assistant's, so that nothing can be learnt; add one"
            )
        return tokens, written

    def responses(self, chats: Iterable[Sequence[Message]]) -> Responses:
        """Return chats as padded rows with their mask, both (b, t), to learn from.

        For `response_loss`. In a chat of several turns the mask has several runs, so
        that `Responses.pairs` fits those of one turn alone. Raises: ValueError also for
        no chat.
        """
        rows = [self.row(chat) for chat in chats]
        if not rows:
            raise ValueError("no chat to learn from; give at least one")
        longest = max(len(tokens) for tokens, _ in rows)
        tokens, written = (pad(part, longest) for part in zip(*rows, strict=True))
        return Responses(tokens, written.to(torch.bool))

    def _message(self, role: str, content: str) -> Tokens:
        ids = self.tokenizer.encode(content)
        n_vocab = self.tokenizer.n_vocab
        if not ids or not 0 <= min(ids) <= max(ids) < n_vocab:
            raise ValueError(
                f"the {role}'s {content!r} has the tokens {ids}; need one or more, "
                f"from 0 to {n_vocab - 1}: the others are special, and no text's"
            )
        return [self._role(role), *ids, self.end]

    def _role(self, role: str) -> int:
        return self.tokenizer.n_vocab + ROLES.index(role)


def check_chat(chat: Sequence[Message]) -> None:
    """Raise ValueError for what is no chat, as `ChatTemplate` says.

    >>> check_chat([Message("system", "Be kind."), Message("user", "Hi")])
    """
    if not chat:
        raise ValueError("a chat without messages; give at least a user's")
    for number, (role, content) in enumerate(chat):
        if role not in ROLES:
            raise ValueError(
                f"message {number} has the role {role!r}; choose {', '.join(ROLES)}"
            )
        if not content:
            raise ValueError(f"message {number}, the {role}'s, is empty; write it")
        for mark in MARKS:
            if mark in content:
                raise ValueError(
                    f"message {number}, the {role}'s, holds {mark}, which only the "
                    "template may write; take it out"
                )
    _check_turns([role for role, _ in chat])


def _check_turns(roles: Sequence[str]) -> None:
    start = int(roles[0] == "system")
    for number, role in enumerate(roles[start:]):
        turn = ("user", "assistant")[number % 2]
        if role != turn:
            raise ValueError(
                f"message {start + number} is the {role}'s, where it is the {turn}'s "
                "turn; one system message may come first, then user and assistant"
            )
