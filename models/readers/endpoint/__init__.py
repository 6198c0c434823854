"""Endpoint: pages are read by an OpenAI-compatible server (vLLM, SGLang) on another machine."""
