
# With CA_FILE only: its certificate authorities, for programs whose requests pass a proxy that decrypts TLS.
USER 0:0
COPY authorities/ /usr/local/share/ca-certificates/
RUN update-ca-certificates >/dev/null
USER 10001:10001
