"""The yardstick: an app of one function that imports nothing but azure.functions, indexed as the worker does."""

import azure.functions as func

app = func.FunctionApp()


@app.route("hello")
def hello(req: func.HttpRequest) -> func.HttpResponse:
    """Answer with nothing."""
    return func.HttpResponse(req.method)


print("functions", len(app.get_functions()), flush=True)
