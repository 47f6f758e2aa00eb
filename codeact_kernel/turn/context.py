"""Hold the objects that all parts of one turn share."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..approval import ApprovalPolicy, Approver, Grants
from ..capabilities.data import Input
from ..capabilities.registry import CapabilitySet
from ..events import Emit, Emitter
from ..guest.kinds import STANDARD, GuestKind
from ..memory.recorded_turn import RecordedTurn
from ..memory.replay import Replay
from ..memory.spending import Spending
from ..memory.thread import FollowUp
from ..settings import Limits, Settings
from ..tools import OnMain, Registry, ToolSpec
from .accounts import Accounts

__all__ = ["TurnContext"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnContext:
    """The objects that all parts of one turn share. Use `create` to make it.

    Attributes:
        number: identifies the turn in its events and approval requests.
        inputs: variables that the programs get.
        follow_up: what the prompt takes along from earlier turns.
        recorded: a recorded answer with which the turn starts, or `None`.
        notices: sentences for the user with which the turn starts.
        capabilities: the capabilities of the programs.
        approvals: decides about calls, and about programs if the user reviews them.
        accounts: what the turn uses, and the budgets that limit it.
        emit: takes the events of this turn.
        on_main: runs a synchronous tool on the thread for such tools, in a notebook the main thread of the kernel.
        guest: the kind of guest that runs the programs.
    """

    number: str
    settings: Settings
    inputs: Sequence[Input]
    follow_up: FollowUp = field(default_factory=FollowUp)
    recorded: RecordedTurn | None = None
    notices: Sequence[str] = ()
    tools: Registry
    capabilities: CapabilitySet
    approvals: ApprovalPolicy
    accounts: Accounts
    emit: Emit
    on_main: OnMain
    guest: GuestKind = STANDARD

    @classmethod
    def create(
        cls,
        *,
        settings: Settings,
        tools: Registry,
        approver: Approver,
        grants: Grants,
        emit: Emit,
        on_main: OnMain,
        inputs: Sequence[Input] = (),
        outputs: Sequence[str] = (),
        follow_up: FollowUp | None = None,
        recorded: RecordedTurn | None = None,
        notices: Sequence[str] = (),
        guest: GuestKind = STANDARD,
        spending: tuple[Spending, Spending] | None = None,
    ) -> TurnContext:
        """Prepare a turn.

        Args:
            approver, grants: decide about calls that need approval; lasting decisions are added to `grants`.
            inputs: variables that the programs get.
            outputs: names that the programs have to assign, for the result's `outputs`.
            follow_up: what the prompt takes along from earlier turns; by default nothing.
            recorded: a recorded answer with which the turn starts instead of asking the model.
            notices: sentences for the user with which the turn starts.
            spending: what the session has used, and what this turn uses; by default both begin at zero.

        Raises:
            UserError: if a mount no longer exists, or two mounts have the same path.
        """
        number = uuid.uuid4().hex
        emit, follow_up = Emitter(number, emit), follow_up or FollowUp()
        if (replay := recorded and recorded.replay) is not None:
            settings = _for_replay(settings)
        return cls(
            number=number,
            settings=settings,
            inputs=inputs,
            follow_up=follow_up,
            recorded=recorded,
            notices=[*notices, *_notices_of(inputs, guest)],
            tools=tools,
            capabilities=CapabilitySet(
                settings,
                inputs,
                outputs,
                emit,
                earlier=follow_up.results,
                previous=follow_up.previous,
                began=replay and replay.began,
                guest=guest,
                registry=tools,
            ),
            approvals=ApprovalPolicy(approver, grants, settings.limits),
            accounts=Accounts(settings, *(spending or (Spending(), Spending())), emit),
            emit=emit,
            on_main=on_main,
            guest=guest,
        )

    @property
    def limits(self) -> Limits:
        """The limits of `settings`."""
        return self.settings.limits

    def specs(self) -> dict[str, ToolSpec]:
        """Return the tools by name, as the guest of this turn gets their results."""
        return self.tools.specs(as_frames=self.guest.has_pandas)

    @property
    def replay(self) -> Replay | None:
        """What answers the calls, if the turn repeats a recorded one."""
        return self.recorded.replay if self.recorded is not None else None


def _for_replay(settings: Settings) -> Settings:
    """Return the settings of a turn that must change nothing, and whose programs are known."""
    mounts = tuple(replace(mount, mode="ro") for mount in settings.file_mounts)
    return replace(settings, review=False, file_mounts=mounts)


def _notices_of(inputs: Sequence[Input], guest: GuestKind) -> list[str]:
    """Return the sentences about columns that are left out. A guest with pandas gets them, so nothing is said there."""
    told = [variable for variable in inputs if not (guest.has_pandas and variable.source is not None)]
    return [notice for variable in told for notice in variable.notices]
