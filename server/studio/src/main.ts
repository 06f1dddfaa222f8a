document.querySelector("#studio")!.textContent = "Kontext studio";
