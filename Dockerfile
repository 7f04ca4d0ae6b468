# Serves a model on the CPU, as a user without rights:
#   docker build -t kgraft .
#   docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/student:/model:ro" -e KGRAFT_TOKEN=... kgraft
FROM python:3.12-slim AS build
WORKDIR /src
COPY constraints.txt pyproject.toml hatch_build.py README.md LICENSE ./
COPY src src
RUN python -m venv /opt/kgraft \
    && /opt/kgraft/bin/pip install --no-cache-dir -c constraints.txt torch \
        --extra-index-url https://download.pytorch.org/whl/cpu \
    && /opt/kgraft/bin/pip install --no-cache-dir -c constraints.txt '.[ask,serve]'

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin kgraft
COPY --from=build /opt/kgraft /opt/kgraft
ENV PATH=/opt/kgraft/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["kgraft"]
CMD ["serve", "/model", "--host", "0.0.0.0", "--port", "8000"]
