"""x"""
def replace_group_nodes(*a): return {}
