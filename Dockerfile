# janela in a container of nothing but itself:
#   docker build -t janela .
#   docker run -d --name janela --network host -v janela:/var/lib/janela -v /etc/janela:/etc/janela:ro janela
# It listens on loopback: put it into the network of the proxy that has the
# certificate, or of the host.
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN make static OUT=/out/janela && mkdir -p /out/var/campaigns.d

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/janela /usr/bin/janela
COPY --from=build --chown=nonroot:nonroot /out/var /var/lib/janela
COPY packaging/config.toml /etc/janela/config.toml
VOLUME ["/var/lib/janela"]
WORKDIR /var/lib/janela
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=15s --start-period=2m --retries=3 CMD ["/usr/bin/janela", "healthcheck", "--config", "/etc/janela/config.toml"]
ENTRYPOINT ["/usr/bin/janela"]
CMD ["serve", "--config", "/etc/janela/config.toml"]
