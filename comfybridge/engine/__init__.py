"""The engine that keeps the jobs: NATS JetStream, by address or as a child process."""
