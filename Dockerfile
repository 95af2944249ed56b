# docker build --target train|serve|local-serve|client -t NAME .
#
# No image runs as root, and each runs under any other user too (docker run --user "$(id -u)").
# Packages come from the lock files, checked by hash, as wheels only: nothing is compiled here.

FROM python:3.11.14-slim-bookworm AS python
# A home that any user may write.
ENV HOME=/tmp PYTHONUNBUFFERED=1
WORKDIR /project

# ---- client: asks a served model; has no TensorFlow
FROM python AS client
COPY requirements-client.lock /locks/
RUN pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes \
    -r /locks/requirements-client.lock
COPY serving/__init__.py serving/proto_builder.py /app/serving/
COPY serving/client /app/serving/client
ENV PYTHONPATH=/app
USER 10001:10001
ENTRYPOINT ["python", "-m", "serving.client"]
CMD ["--help"]

# ---- what train and local-serve share
FROM python AS packages
COPY requirements.lock /locks/
RUN pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes \
    -r /locks/requirements.lock

FROM packages AS wheel
COPY setup.py pyproject.toml README.md LICENSE /source/
COPY tfpipe /source/tfpipe
COPY serving /source/serving
COPY tuning /source/tuning
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels /source

# ---- train: every command of the project, on data and runs that are mounted at /project
FROM packages AS train
COPY requirements-starter.lock requirements-multilingual.lock /locks/
RUN pip install --no-cache-dir --no-deps --require-hashes -r /locks/requirements-starter.lock \
    && pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes \
    -r /locks/requirements-multilingual.lock
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir --no-deps /wheels/*.whl \
    && chmod 1777 /project
USER 10001:10001
EXPOSE 6006
ENTRYPOINT ["tfpipe"]
CMD ["--help"]

# ---- local-serve: our server, on models that are mounted at /models
FROM packages AS local-serve
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir --no-deps /wheels/*.whl
COPY serving/deploy /opt/serving
ENV MODEL_NAME=support
USER 10001:10001
EXPOSE 8500 8501
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["bash", "/opt/serving/healthy.sh"]
ENTRYPOINT ["bash", "/opt/serving/serve.sh", "python", "-m", "serving.server", "--host=0.0.0.0"]

# ---- serve: TensorFlow Serving with models/MODEL inside (--build-arg MODEL=support)
FROM tensorflow/serving:2.21.0 AS serve
ARG MODEL=support
COPY serving/deploy /opt/serving
COPY models/${MODEL} /models/${MODEL}
ENV MODEL_NAME=${MODEL}
USER 10001:10001
EXPOSE 8500 8501
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["bash", "/opt/serving/healthy.sh"]
ENTRYPOINT ["bash", "/opt/serving/serve.sh", "tensorflow_model_server"]
