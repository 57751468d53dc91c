"""People prefer this: what thumbs, choices and checks teach a model that already reads.

    from trainer.preference import PreferenceConfig, read, tune

    tune(reader: EncoderReader, preferences: Sequence[Preference], config: PreferenceConfig, *,
         folder: Path, held: Sequence[Preference] = (), replay: Sequence[ReadingRow] = ()) -> Tuned

Takes   a reader with the weights that are the reference; `read(paths)` of the bundle's `preferences.*.jsonl`, whose
        rows hold chosen and rejected words, one of them None for a single thumb; rows to replay against forgetting.
Gives   the same reader with new weights, and `Tuned(checkpoint, done, figures)`: the folder of the last checkpoint,
        False where `config.minutes` stopped it before the last step (run again with the same arguments, it goes on),
        and figures: rows used, left out by reason, and of both sides margins, thumbs obeyed and KL before and after.
Learns  single thumbs by KTO, pairs by DPO, in one run (`loop.train` in `folder`). `config.steps` 0: as many as
        `config.epochs` need.
Refuses preferences of which none names words of its sources (DataError); a folder of another run (CheckpointError).
"""

from __future__ import annotations

from trainer.preference.pairs import Preference, read
from trainer.preference.tuning import PreferenceConfig, Tuned, tune

__all__ = ["Preference", "PreferenceConfig", "Tuned", "read", "tune"]
