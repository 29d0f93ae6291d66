"""What is said of the records of a snapshot: captions, ingredients and aspects, with who said it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmretrieval.features import MANIFEST, Feature, read_features
from mmretrieval.records import Records

_PAGE = 500


class Described(Records):
    """Records with what models and people say of their pictures."""

    def features(self, record_id: str) -> Mapping[str, str]:
        """Caption, ingredients and aspects of a record, by kind, without those that are empty; raises NotFound."""
        stored = self.feature_rows([record_id]).get(record_id, {})
        said = {kind: feature.text for kind, feature in stored.items()} | {"caption": self.record(record_id).caption}
        return {kind: text for kind, text in said.items() if text}

    def feature_rows(self, ids: Sequence[str]) -> dict[str, dict[str, Feature]]:
        """What models and hands wrote of these records, with state and origin; ids without any are left out."""
        return read_features(self._catalog, ids)

    def descriptions(self) -> Iterator[dict[str, Any]]:
        """For every record that anything is said of: its id, and the kind, origin, state, reason and text of each.

        A caption without a row of its own is the manifest's; one that was made but failed stands beside it.
        """
        for start in range(0, self.count, _PAGE):
            part = self.ids[start : start + _PAGE]
            features = self.feature_rows(part)
            for record in self.records(part):
                told = list(features.get(record.id, {}).values())
                if record.caption and all(record.caption != feature.text for feature in told):
                    told.insert(0, Feature("caption", record.caption, origin=MANIFEST))
                yield from ({"id": record.id, "kind": feature.kind, **feature.to_dict()} for feature in told)
