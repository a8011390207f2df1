"""The routes of the notify service."""

from fastapi import APIRouter

from services.notify.api import inbox, messages, templates

ROUTERS: tuple[APIRouter, ...] = (inbox.router, messages.router, templates.router)
