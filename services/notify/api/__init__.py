"""The routes of the notify service."""

from fastapi import APIRouter

from services.notify.api import channels, inbox, messages, templates

ROUTERS: tuple[APIRouter, ...] = (channels.router, inbox.router, messages.router, templates.router)
