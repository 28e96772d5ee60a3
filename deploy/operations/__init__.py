"""Operations: what a command of `touchline` does to a running deployment."""
