/* Shows the bridge's document with Swagger UI. */
const page = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  validatorUrl: null, /* a site elsewhere */
  onComplete: askForPictures,
})

/* What answers with pictures is asked for one, unless the reader chooses another form: JSON has them as base64. */
function askForPictures() {
  const {specSelectors, oas3Actions} = page.getSystem()
  for (const [path, operations] of Object.entries(specSelectors.specJson().toJS().paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      if (operation.responses?.["200"]?.content?.["image/*"]) {
        const chosen = {value: "image/*", path, method}
        oas3Actions.setResponseContentType(chosen) /* what is sent */
        oas3Actions.setResponseCodeContentType({...chosen, code: "200"}) /* what is shown */
      }
    }
  }
}
