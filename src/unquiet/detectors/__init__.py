"""Counts into verdicts: every stream (event x slice) is tested at every tick, inside one alarm budget."""

from unquiet.detectors.epochs import begin_epoch
from unquiet.detectors.watch import Alarm, Watch

__all__ = ["Alarm", "Watch", "begin_epoch"]
