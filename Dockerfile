# With its digest where a build must be repeatable: --build-arg BASE=python:3.11-slim@sha256:…
ARG BASE=python:3.11-slim
FROM ${BASE}

ENV PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1 BAKEOFF_HOME=/var/lib/bakeoff

# A number, by which Kubernetes sees that it is not root.
RUN useradd --uid 10001 --create-home --home-dir /var/lib/bakeoff bakeoff
WORKDIR /app

# Dependencies first: they change less often than the code. Each file has a hash in requirements.lock.
COPY requirements.lock ./
RUN pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r requirements.lock
# By its version alone: its build for CPUs is PyTorch's own, and PyPI does not vouch for it.
RUN pip install --no-cache-dir --no-deps torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu

COPY pyproject.toml README.md ./
COPY platform ./platform
COPY experiments ./experiments
COPY inference ./inference
COPY clients ./clients
COPY docs ./docs
COPY manage.py mkdocs.yml ./
# What builds the package is among the dependencies: nothing else is fetched for it.
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e . && pip check

USER 10001
VOLUME /var/lib/bakeoff
EXPOSE 8000
# Of web, a worker or beat, as the container's command says.
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s CMD ["python", "-m", "bakeoff.container_check"]
# Open streams end ten seconds after SIGTERM; a start-up that fails ends the container.
CMD ["python", "-m", "uvicorn", "bakeoff.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--no-access-log", "--no-server-header", "--no-proxy-headers", "--lifespan", "on", "--http", "bakeoff.gateway.http.connection:Connection", "--timeout-graceful-shutdown", "10"]
