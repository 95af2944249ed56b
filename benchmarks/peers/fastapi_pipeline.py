"""Peer of benchmarks/serving.py: FastAPI around transformers' pipeline, as in tutorials.

MODEL=RUN/model PORT=9001 python fastapi_pipeline.py
"""

import os

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline

classifier = pipeline("text-classification", model=os.environ["MODEL"], framework="pt")
app = FastAPI()


class Question(BaseModel):
    """Body of a request."""

    texts: list[str]


@app.post("/classify")
def classify(question: Question) -> list[dict[str, object]]:
    """Return the best label and its score for each text; FastAPI runs this in its thread pool."""
    return classifier(question.texts, truncation=True)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
