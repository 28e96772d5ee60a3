"""Operations: what a command of `touchline` does to a running deployment.

setup        topics, tables and the epoch
check        all configuration, beyond its own file
import_file  a file of touches
profile      one customer, from the views
tap          accepted touches as they pass
identity/    why identifiers are one person; undoing it
rejected/    refused events and their replay
rebuild/     recomputation of everything that is derived
"""
