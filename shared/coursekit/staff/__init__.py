"""What staff do: render, check, prove, release, publish. A release leaves this folder out."""
