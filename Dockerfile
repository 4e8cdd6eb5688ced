# Two images of one program:
#   docker build -t fruit-classifier .                         serves: page, REST, command line
#   docker build --target train -t fruit-classifier:train .    can retrain too (TensorFlow, 1.8 GB more)
FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /src
COPY . .
# In the versions that are pinned for a Space, which also retrains.
RUN pip install --constraint requirements.txt .

FROM build AS build-train
RUN pip install --constraint requirements.txt '.[train,pretrained]'

FROM python:3.11-slim AS runtime
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/state \
    FRUIT_STATE_DIR=/state \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860
RUN useradd --system --uid 10001 --home-dir /state --shell /usr/sbin/nologin fruit \
    && install --directory --owner fruit --group fruit /state
WORKDIR /state
USER fruit
# Everything that the program writes; the rest of the image may be mounted read-only.
VOLUME /state
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ['GRADIO_SERVER_PORT']}/api/health/live\", timeout=4)"]
ENTRYPOINT ["fruit-classifier"]
CMD ["serve"]

FROM runtime AS train
COPY --from=build-train /opt/venv /opt/venv

FROM runtime AS serve
COPY --from=build /opt/venv /opt/venv
