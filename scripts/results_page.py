def write_page(scores, page): pass
