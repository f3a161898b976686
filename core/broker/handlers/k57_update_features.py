"""UpdateFeatures, versions 0 to 2: the levels in force are the only ones that this broker serves; naming them again is
granted. Shell.

Version 1 added dry runs and kinds of downgrade, 2 left out the result for each feature.
Source: KIP-584, FeatureControlManager.updateFeatures of Kafka 4.3.1. Tested in
tests/interop/test_answers_like_kafka.py.
"""

from typing import TYPE_CHECKING

from ...errors import ErrorCode
from ...wire.messages.k57_update_features import UpdateFeaturesRequest, UpdateFeaturesResponse
from ..context import RequestContext
from .k18_api_versions import FEATURES

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 2)
RESULTS_UNTIL = 1


def start(broker: "Broker", request: UpdateFeaturesRequest, context: RequestContext) -> UpdateFeaturesResponse:
    """All of the updates, or none of them."""
    if not request.feature_updates:
        return UpdateFeaturesResponse(
            error_code=int(ErrorCode.INVALID_REQUEST), error_message="no feature is named that is to be updated"
        )
    for update in request.feature_updates:
        message = _refusal(broker, update)
        if message is not None:
            return UpdateFeaturesResponse(
                error_code=int(ErrorCode.INVALID_UPDATE_VERSION),
                error_message=f"The update failed for all features since the following feature had an error: {message}",
            )
    response = UpdateFeaturesResponse(error_message=None)
    if context.api_version <= RESULTS_UNTIL:
        response.results = [
            UpdateFeaturesResponse.UpdatableFeatureResult(feature=update.feature, error_message=None)
            for update in request.feature_updates
        ]
    return response


def _refusal(broker: "Broker", update: UpdateFeaturesRequest.FeatureUpdateKey) -> str | None:
    name, wanted = update.feature, update.max_version_level
    begin = f"Invalid update version {wanted} for feature {name}."
    if name not in FEATURES:
        return f"{begin} Local controller {broker.cluster.node_id} does not support this feature."
    lowest, highest, level = FEATURES[name]
    if wanted == level:
        return None
    if not lowest <= wanted <= highest:
        return f"{begin} Local controller {broker.cluster.node_id} only supports versions {lowest}-{highest}."
    return f"{begin} This broker serves level {level} only."
