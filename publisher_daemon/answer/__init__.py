"""Lets the folder answer whoever drops files in it: a page and a text, beside the files or apart.

For the person who has a share and no account, and will never see a terminal: each file, published
when and where, or why not and what to do. Off unless ``answer_dir`` says where it may be written.
"""

from publisher_daemon.answer.page import Answer, html_page, text_page
from publisher_daemon.answer.writing import PAGE, TEXT, write

__all__ = ["PAGE", "TEXT", "Answer", "html_page", "text_page", "write"]
