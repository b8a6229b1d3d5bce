"""A model that gives back what it got, whole or as a stream of two parts per request."""

from mlserver import MLModel
from mlserver.types import InferenceResponse, ResponseOutput


class Echo(MLModel):
    async def load(self):
        return True

    async def predict(self, payload):
        outputs = [
            ResponseOutput(
                name=i.name, shape=i.shape, datatype=i.datatype, data=i.data, parameters=i.parameters
            )
            for i in payload.inputs
        ]
        return InferenceResponse(
            id=payload.id, model_name=self.name, model_version=self.version, outputs=outputs
        )

    async def predict_stream(self, payloads):
        async for payload in payloads:
            yield await self.predict(payload)
