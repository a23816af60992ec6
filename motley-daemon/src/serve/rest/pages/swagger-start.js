"use strict";
const root = document.getElementById("swagger-ui").dataset.root;
SwaggerUIBundle({
  url: root + "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
  oauth2RedirectUrl: new URL(root + "docs/oauth2-redirect", document.baseURI).href,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
