# What the `start` scripts of several targets need. They run in the folder of their target: `. ../starting.sh`.

# Ends the start: the environment names a configuration that this target does not have.
no_such_configuration() {
    echo "there is no configuration $TARGET_CONFIGURATION" >&2
    exit 2
}

# Prints a port that nobody listens at, for what a broker opens beside its MQTT listeners.
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Makes key.pem and certificate.pem in the working directory, unless they are there.
make_certificate() {
    [ -f key.pem ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
        -keyout key.pem -out certificate.pem
}
