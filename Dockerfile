# Image of the command `nas`.
#     docker build -t inception-nas .
#     docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" inception-nas search budget.minutes=4
#     docker run --rm --gpus all --shm-size=8g -v "$PWD:/work" inception-nas search experiment=cifar10_gpu data.path=CIFAR
# torch of the usual package index has CUDA's libraries with it: the image runs on processors and on NVIDIA GPUs. One for processors
# alone is some GB smaller: `--build-arg TORCH_INDEX=URL` with the URL of the CPU wheels that PyTorch's installation page names.
ARG PYTHON=3.11
FROM python:${PYTHON}-slim AS build
ARG TORCH_INDEX=""
ARG EXTRAS=export
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/nas
ENV PATH=/opt/nas/bin:$PATH
WORKDIR /source
COPY constraints.txt ./
RUN pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(grep '^torch==' constraints.txt)"
COPY pyproject.toml README.md LICENSE ./
COPY nas nas
COPY search_space search_space
COPY conf conf
RUN pip install -c constraints.txt ".[$EXTRAS]"

FROM python:${PYTHON}-slim
COPY --from=build /opt/nas /opt/nas
# libgomp: threads of torch and scikit-learn; the cache of decoded images must be writable by any user.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 nas \
    && install -d -m 1777 /cache \
    && install -d -o nas -g nas /work
ENV PATH=/opt/nas/bin:$PATH NAS_CACHE_DIR=/cache HOME=/tmp PYTHONUNBUFFERED=1
USER nas
WORKDIR /work
ENTRYPOINT ["nas"]
CMD ["--help"]
